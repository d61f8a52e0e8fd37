import sys
from test_cpay import world, shop, wallet
from helpers import word
def test_dbg(world, shop):
    world.sandbox.chaos(reset_rate=1000)
    r = shop.initialize(wallet("1500.00"), key=word("key"))
    world.sandbox.chaos(reset_rate=0)
    for _ in range(14):
        world.clock.advance(60)
        world.settle()
    p = shop.payment(r.json["id"])
    for t in p["timeline"]: print(t["action"], t["at"])
    print(p["status"], p["attempts"])
    for row in world.database.rows("select * from reli.provider_call"): print({k:(str(v)[:200]) for k,v in row.items()})
    assert 0
