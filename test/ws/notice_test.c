/* Events as bytes: lengths of frames at their borders (RFC 6455, 5.2), and server-sent events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ws/notice.h"

static void fill(struct notice *n, size_t len)
{
    notice_init(n);
    for (size_t i = 0; i < len; i++)
        buf_char(&n->json, (char)('a' + i % 26));
}

static void frames(void **state)
{
    static const struct {
        size_t len, head;
        const char *bytes;
    } rows[] = {
        {0, 2, "\x81\x00"},
        {1, 2, "\x81\x01"},
        {125, 2, "\x81\x7d"},
        {126, 4, "\x81\x7e\x00\x7e"},
        {65535, 4, "\x81\x7e\xff\xff"},
        {65536, 10, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct notice n;
        fill(&n, rows[i].len);
        struct blob *b = notice_encode(&n, WIRE_SOCKET);
        assert_non_null(b);
        assert_int_equal(b->n, rows[i].head + rows[i].len);
        assert_memory_equal(b->p, rows[i].bytes, rows[i].head);
        if (rows[i].len > 0)
            assert_memory_equal(b->p + rows[i].head, n.json.p, rows[i].len);
        notice_free(&n);
    }
}

static void server_sent(void **state)
{
    struct notice n;
    (void)state;
    notice_init(&n);
    buf_c(&n.json, "{\"a\":1}");
    n.type = STR("payment.completed");
    n.id = 9007199254740993;
    struct blob *b = notice_encode(&n, WIRE_SSE);
    struct str want = STR("id: 9007199254740993\nevent: payment.completed\ndata: {\"a\":1}\n\n");
    assert_non_null(b);
    assert_int_equal(b->n, want.n);
    assert_memory_equal(b->p, want.p, want.n);
    notice_free(&n);
}

/* Once for each protocol, however many ask; what somebody still sends stays. */
static void once(void **state)
{
    struct notice n;
    (void)state;
    fill(&n, 10);
    struct blob *frame = notice_encode(&n, WIRE_SOCKET), *event = notice_encode(&n, WIRE_SSE);
    assert_ptr_not_equal(frame, event);
    assert_ptr_equal(notice_encode(&n, WIRE_SOCKET), frame);
    assert_ptr_equal(notice_encode(&n, WIRE_SSE), event);
    blob_ref(frame);
    notice_free(&n);
    assert_int_equal(frame->n, 12);
    blob_unref(frame);
}

static void too_large(void **state)
{
    struct notice n;
    (void)state;
    fill(&n, 3 << 20);
    assert_null(notice_encode(&n, WIRE_SOCKET));
    assert_null(notice_encode(&n, WIRE_SSE));
    notice_free(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames),
        cmocka_unit_test(server_sent),
        cmocka_unit_test(once),
        cmocka_unit_test(too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
