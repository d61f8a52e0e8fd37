"""Lists with filters in a shop that has much: a page ends, even if nothing matches, and says where to go on."""

from helpers import V1, stk, wait_until

MANY = 4100  # more than a page looks at: LIST_LOOK of http/list.h


def copy(db, table, merchant, row, **changes):
    """MANY copies of one row; what changes is SQL over the number k, the id too (a row's id is its time: just before)."""
    made = ", ".join(f"'{name}', {value}" for name, value in changes.items())
    db.rows(f"insert into reli.{table} select (jsonb_populate_record(r, jsonb_build_object({made}))).* "
            f"from reli.{table} r, generate_series(1, {MANY}) k where r.merchant_id = %s and r.id = %s", merchant, row)


def pages(shop, path, cursor="after", start=None):
    """What each page has: the ids, and whether it is the last."""
    out, at = [], path if start is None else f"{path}&{cursor}={start}"
    while True:
        r = shop.get(V1 + at)
        assert r.status == 200, r
        out.append(([x["id"] for x in r.json["data"]], r.json["has_more"]))
        if not r.json["has_more"]:
            assert r.json["next"] is None
            return out
        at = f"{path}&{cursor}={r.json['next']}"


def test_payments(reli, db):
    oldest = reli.pay(currency="UGX", amount="30", reference="OLD")
    reli.post(f"{V1}/payments/{oldest['id']}/confirm", {})
    many = reli.pay()
    copy(db, "payment", reli.merchant, many["id"], op_id="gen_random_uuid()",
         id=f"left('{many['id']}', 24) || lpad(to_hex(k * 256), 12, '0')")
    newest = reli.pay(currency="USD", amount="1.00")
    assert pages(reli, "/payments?status=completed") == [([], True), ([oldest["id"]], False)]
    assert pages(reli, "/payments?currency=UGX&min_amount=30&limit=1") == [([], True), ([oldest["id"]], False)]
    assert pages(reli, "/payments?provider=mpesa") == [([], True), ([], False)]
    assert pages(reli, "/payments?currency=USD", "before", oldest["id"])[0] == ([], True)
    r = reli.get(f"{V1}/payments?currency=USD&before={oldest['id']}")
    assert pages(reli, "/payments?currency=USD", "before", r.json["next"]) == [([newest["id"]], False)]
    found = reli.get(f"{V1}/payments?status=completed&page=1").json
    assert (found["total"], [p["id"] for p in found["data"]]) == (1, [oldest["id"]]), "by number all are counted"


def test_deliveries(reli, db, receiver):
    reli.endpoint(receiver.url(), ["payment.initiated"])
    reli.pay()
    (sent,) = wait_until(lambda: [d for d in reli.get(V1 + "/webhook-deliveries").json["data"]
                                  if d["status"] == "delivered"], 10, "delivered")
    copy(db, "webhook_delivery", reli.merchant, sent["id"], id=f"left('{sent['id']}', 24) || lpad(to_hex(k * 256), 12, '0')")
    assert pages(reli, "/webhook-deliveries?status=dead") == [([], True), ([], False)]
    every = [i for ids, _ in pages(reli, "/webhook-deliveries?status=delivered&limit=100") for i in ids]
    assert len(set(every)) == len(every) == MANY + 1 and every == sorted(every, reverse=True)


def test_provider_events(reli, db, sandbox):
    p = reli.pay(stk())
    reli.wait_status(p["id"], "completed")
    (event,) = wait_until(lambda: [e for e in reli.get(V1 + "/provider-events").json["data"]
                                   if e["status"] == "processed"], 10, "processed")
    copy(db, "provider_event", reli.merchant, event["id"], id="gen_random_uuid()",
         subject_id=f"left('{p['id']}', 24) || lpad(to_hex(k * 256), 12, '0')", payment_id="gen_random_uuid()")
    assert pages(reli, "/provider-events?status=dead") == [([], True), ([], False)]
    every = [i for ids, _ in pages(reli, "/provider-events?status=processed&limit=100") for i in ids]
    assert len(set(every)) == len(every) == MANY + 1
    assert pages(reli, f"/provider-events?payment_id={p['id']}") == [([event["id"]], False)]
    assert pages(reli, f"/provider-events?payment_id={p['id']}&status=dead") == [([], False)]
