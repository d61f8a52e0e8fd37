"""Payments through reli against payments through Flask and gunicorn, in the same run."""

import peer_flask
from world import HERE, Cpu, Server, children, free_port

# Which of the ways to run it is best depends on the machine: the best one counts. (Processes without
# threads close every connection, and achieve a quarter.)
WAYS = {"2 processes of 8 threads": ["-w", 2, "--threads", 8], "4 processes of 4 threads": ["-w", 4, "--threads", 4]}
LEAST = 0.3  # of what pgbench does with the same statements one after the other


def make_tables(b, admin):
    for text in peer_flask.SCHEMA.split(";\n"):
        if text.strip():
            admin.rows(text)
    admin.rows("insert into peer.api_key values (sha256(%s), %s)", b.key.encode(), b.merchant)


def start(b, arguments):
    port = free_port()
    env = b.w.env | {"PEER_DATABASE_URL": b.w.urls["DATABASE_ADMIN_URL"], "PYTHONDONTWRITEBYTECODE": "1"}
    return b.w.start(Server(["/usr/bin/gunicorn", "--chdir", HERE, "--backlog", 1024, "--log-level", "error", *arguments,
                             "-b", f"127.0.0.1:{port}", "peer_flask:make()"],
                            b.w.log("peer"), port, env)).ready("/health", 30)


def rows(b):
    admin = b.w.admin()
    make_tables(b, admin)
    simple = b.w.pgbench(peer_flask.pgbench_script(b.merchant), 64, b.z.pgbench_s, mode="simple",
                         url=b.w.urls["DATABASE_ADMIN_URL"])
    best, rates = (0, "", None), {}
    for name in WAYS if not b.z.smoke else list(WAYS)[:1]:
        peer = start(b, WAYS[name])
        b.payments(peer, 64, 1)
        before = admin.value("select count(*) from peer.payment")
        cpu = Cpu(children(peer.pid))
        found = b.payments(peer, 64, b.z.seconds)
        found["cpu_us"] = cpu.seconds() / found["requests"] * 1e6
        made = admin.value("select count(*) from peer.payment") - before
        b.w.stop(peer)
        if made < found["requests"]:
            raise RuntimeError(f"the peer answered {found['requests']} times and made {made} payments")
        rates[name] = found["rate"]
        best = max(best, (found["rate"], name, found), key=lambda f: f[0])
    admin.conn.close()
    peer_rate, name, found = best
    b.out.row("Flask/gunicorn, against pgbench's simple protocol", f"{peer_rate:,.0f}/s", f"{simple:,.0f}/s",
              peer_rate / simple)
    b.out.note("; ".join(f"{name}: {value:,.0f}/s" for name, value in rates.items()))
    b.out.note(f"the better one: p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms; CPU per "
               f"payment {found['cpu_us']:.0f} µs without PostgreSQL's; pgbench: the peer's own statements, 64 clients")
    if peer_rate < LEAST * simple:
        b.out.note(f"below {LEAST} of it: no peer, what follows does not count")
        return
    for connections, ours, least in ((64, b.at_64["rate"], 12), (256, b.at_256["rate"], 20)):
        b.out.row(f"payments by cash, {connections} connections, against Flask", f"{ours:,.0f}/s", f"{peer_rate:,.0f}/s",
                  ours / peer_rate, least)
