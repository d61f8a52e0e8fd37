def trial(e): return 0,0
