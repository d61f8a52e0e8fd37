-- The foundation: merchants and keys, payments with everything that a payment writes, jobs,
-- callbacks in, webhooks out.
--
-- Rules of the schema:
--   * every primary key and unique constraint starts with merchant_id (look-up tables
--     excepted: they are keyed by what is looked up), so that the schema can be distributed by
--     merchant;
--   * ids are UUIDv7 and come from the program, like every time and random value: no sequences, no
--     triggers, no volatile defaults;
--   * tables that grow are range-partitioned by a UUIDv7, by month (reli.partitions_ensure);
--   * behind merchant_id a key begins with what tells most rows apart: fewer columns are compared;
--   * text in a key is compared byte by byte, not by the rules of the database's language: these
--     are slower, and change with the system's libraries, after which an index finds nothing;
--   * amounts are minor units of the row's currency;
--   * the nil UUID is the platform merchant.

create table reli.merchant (
    merchant_id uuid primary key,
    name text not null,
    country text not null,
    status text not null check (status in ('onboarding', 'active', 'suspended', 'closed')),
    kyc_level int2 not null default 0,
    require_idempotency_key bool not null default false,
    strict_uuid bool not null default false, -- of these keys
    refund_approval_above int8, -- minor units; larger refunds need a second person
    payout_approval_above int8, -- the same of payouts
    webhook_secret bytea not null, -- sealed; signs what goes to a payment's own callback_url
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version int4 not null default 1
);

-- People. Accounts are the installation's; memberships give them a role with a merchant, on the
-- platform merchant they are its staff. What is personal is in `person`, sealed, and nowhere else.
create table reli.account_user (
    merchant_id uuid not null check (merchant_id = '00000000-0000-0000-0000-000000000000'),
    id uuid not null,
    status text not null check (status in ('invited', 'active', 'disabled')),
    email_index bytea not null, -- HMAC of the address; also names its counter in login_guard
    person bytea not null,      -- sealed: e-mail address and name
    password_hash text,         -- argon2id; null until an invitation is accepted
    totp bytea,                 -- sealed: the secret of the second factor
    totp_confirmed_at timestamptz, -- asked for from then on
    totp_step int8 not null default 0, -- of the last code that was used
    stands_for text, -- until he is confirmed: for whom besides himself (core/domain/person.h)
    last_login_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version int4 not null default 1, -- grows with all of these but the last two
    primary key (merchant_id, id),
    check (status <> 'active' or password_hash is not null or totp is null)
);

-- Look-up of people by an HMAC of what they are known by.
create table reli.user_lookup (
    kind text collate "C" not null check (kind in ('email', 'firebase')),
    hash bytea not null,
    user_id uuid not null,
    primary key (kind, hash)
);

create table reli.membership (
    merchant_id uuid not null,
    user_id uuid not null,
    role text not null check (role in ('owner', 'admin', 'operator', 'viewer', 'support')),
    status text not null check (status in ('invited', 'active', 'removed')),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version int4 not null default 1,
    primary key (merchant_id, user_id)
);

-- Look-up of a person's merchants.
create table reli.user_merchant (
    user_id uuid not null,
    merchant_id uuid not null,
    primary key (user_id, merchant_id)
);

-- The one open invitation of a membership; who accepts has the token.
create table reli.invitation (
    merchant_id uuid not null,
    user_id uuid not null,
    token_hash bytea not null,
    invited_by text not null,
    inviter text not null, -- the person behind invited_by
    expires_at timestamptz not null,
    created_at timestamptz not null,
    primary key (merchant_id, user_id)
);

-- Sessions of people: a login and all refresh tokens that came of it. The token that may be used
-- next has the number `generation`; an older one that comes again revokes the session.
create table reli.session (
    merchant_id uuid not null check (merchant_id = '00000000-0000-0000-0000-000000000000'),
    id uuid not null,
    user_id uuid not null,
    for_merchant uuid not null, -- by which membership; the role is read at each use
    generation int4 not null,
    address text not null,
    last_seen_at timestamptz not null, -- to the minute
    refresh_until timestamptz not null,
    ends_at timestamptz not null,
    revoked_at timestamptz,
    revoked_for text,
    created_at timestamptz not null,
    primary key (merchant_id, id)
);
create index session_of_user on reli.session (merchant_id, user_id);

-- Tries to log in without success, by HMAC of an e-mail address (known or not) or of a client's
-- address.
create table reli.login_guard (
    merchant_id uuid not null check (merchant_id = '00000000-0000-0000-0000-000000000000'),
    subject bytea not null,
    failures int4 not null,
    locked_until timestamptz,
    updated_at timestamptz not null,
    primary key (merchant_id, subject)
);

-- What is taken of a merchant's payments in a currency (core/domain/fee.h has the grammar). Rows
-- are never changed: the latest version counts for new payments, each payment names its own.
create table reli.fee_schedule (
    merchant_id uuid not null,
    mode text collate "C" not null check (mode in ('test', 'live')),
    currency text collate "C" not null,
    version int4 not null check (version > 0),
    schedule text not null,
    created_at timestamptz not null,
    primary key (merchant_id, mode, currency, version)
);

-- What a merchant lets himself be paid in a currency (core/domain/limit.h). Set as a whole per
-- mode.
create table reli.limit_rule (
    merchant_id uuid not null,
    mode text collate "C" not null check (mode in ('test', 'live')),
    currency text collate "C" not null,
    scope text collate "C" not null check (scope in ('merchant', 'customer', 'method')),
    method text collate "C" not null, -- of scope method: which one; '' each for itself
    span text collate "C" not null check (span in ('single', 'daily', 'monthly')),
    max_amount int8 check (max_amount > 0),
    max_count int8 check (max_count > 0),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (merchant_id, mode, currency, scope, method, span),
    check (max_amount is not null or max_count is not null)
);

-- What has been counted to a limit. The id is the time at which its day or month began, as in a
-- UUIDv7, and a hash of what is counted. Payments that end without money are taken back; a limit
-- never keeps a payment from ending as it did, so nothing is checked here.
create table reli.limit_counter (
    merchant_id uuid not null,
    id uuid not null,
    about text, -- for people
    amount int8 not null,
    n int8 not null,
    touched int8 not null, -- grows with every batch that has locked the row
    primary key (merchant_id, id)
) partition by range (id);

-- Which of the payments of a batch fit into what their counters have room for: in the order of
-- p_ord, each is granted if there is room for it in all of its counters beside those granted before
-- it. Arrays with an item per payment and counter, those of a payment side by side; p_place numbers
-- the counters from 1. For each payment: 16 times its ord; plus p_pos of the first counter without
-- room, 0 when granted.
create function reli.limit_grant(p_ord int4[], p_pos int2[], p_place int4[], p_amount int8[],
    p_n int8[], p_room int8[], p_room_n int8[]) returns setof int4
language plpgsql immutable strict set search_path = pg_catalog as $$
declare
    n int := cardinality(p_ord);
    used int8[] := array_fill(0::int8, array[n]);
    used_n int8[] := array_fill(0::int8, array[n]);
    i int := 1;
    j int;
    crossed int;
begin
    while i <= n loop
        crossed := 0;
        j := i;
        while j <= n and p_ord[j] = p_ord[i] loop
            if crossed = 0 and not coalesce(used[p_place[j]] + p_amount[j] <= p_room[j]
                                            and used_n[p_place[j]] + p_n[j] <= p_room_n[j], false)
            then
                crossed := p_pos[j];
            end if;
            j := j + 1;
        end loop;
        return next 16 * p_ord[i] + crossed;
        for k in i..(j - 1) loop
            exit when crossed > 0;
            used[p_place[k]] := used[p_place[k]] + p_amount[k];
            used_n[p_place[k]] := used_n[p_place[k]] + p_n[k];
        end loop;
        i := j;
    end loop;
end $$;

-- Merchants' own accounts with providers; those of the installation are in its environment.
create table reli.provider_account (
    merchant_id uuid not null,
    id uuid not null,
    mode text collate "C" not null check (mode in ('test', 'live')),
    provider text collate "C" not null,
    name text collate "C" not null check (name ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
    is_active bool not null,
    priority int4 not null,
    settings bytea not null, -- sealed: all that counts
    config json not null,    -- shown: what is no secret
    last4 json not null,     -- shown: the ends of the secrets
    version int4 not null check (version > 0),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (merchant_id, id),
    unique (merchant_id, mode, provider, name)
);

-- Which provider takes payments that name a method only, in order: {"routes": [...]} as GET
-- /api/v1/routes shows it. Rows are never changed: the latest version counts for new payments.
-- What providers said that accounts have, where they say so later than they are asked.
create table reli.provider_balance (
    merchant_id uuid not null,
    account_id uuid not null,
    state text not null check (state in ('pending', 'known', 'failed')),
    ref text, -- the provider's id of the question
    balances jsonb,
    detail text,
    asked_at timestamptz not null,
    told_at timestamptz,
    primary key (merchant_id, account_id)
);

create table reli.route_set (
    merchant_id uuid not null,
    mode text collate "C" not null check (mode in ('test', 'live')),
    version int4 not null check (version > 0),
    routes text not null,
    created_at timestamptz not null,
    primary key (merchant_id, mode, version)
);

-- HMAC and data keys of the installation, random, wrapped by RELI_MASTER_KEY.
create table reli.installation_key (
    merchant_id uuid not null check (merchant_id = '00000000-0000-0000-0000-000000000000'),
    kind text collate "C" not null check (kind in ('data', 'hmac')),
    number int4 not null,
    wrapped bytea not null,
    created_at timestamptz not null,
    progress text, -- of a data key: how far older texts have been sealed anew; 'done'
    primary key (merchant_id, kind, number)
);

-- Live replicas: the id is the owner of leases.
create table reli.replica (
    merchant_id uuid not null check (merchant_id = '00000000-0000-0000-0000-000000000000'),
    id uuid not null,
    version text not null,
    started_at timestamptz not null,
    seen_at timestamptz not null,
    primary key (merchant_id, id)
);

create table reli.api_key (
    merchant_id uuid not null,
    id uuid not null,
    mode text not null check (mode in ('test', 'live')),
    name text,
    prefix text not null, -- what may be shown
    scopes text not null, -- by commas
    cidrs text,           -- by commas; null: from anywhere
    status text not null check (status in ('active', 'rotating', 'revoked')),
    expires_at timestamptz,
    last_used_at timestamptz, -- to a minute
    created_by text, -- whom it stands for (core/domain/person.h); null: for itself
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version int4 not null default 1,
    primary key (merchant_id, id)
);

-- Look-up by the key's HMAC.
create table reli.api_key_lookup (
    key_hash bytea primary key,
    merchant_id uuid not null,
    id uuid not null
);

-- Whoever pays, as a merchant knows him. Phone, e-mail and name are not here: they are shown from
-- his latest payment. `key` is a keyed hash (core/flow/customer.h) of what tells him from others:
-- the merchant's own id, else the phone number, else the e-mail address.
create table reli.customer (
    merchant_id uuid not null,
    id uuid not null,
    mode text collate "C" not null check (mode in ('test', 'live')),
    key bytea,           -- null: erased
    external_id text,    -- the merchant's own id of him
    status text not null check (status in ('active', 'erased')),
    erase_key bytea,     -- what his payments are found by while they are being erased,
    erase_until timestamptz, -- and when the last of them was made
    erased_at timestamptz,
    wiped_at timestamptz, -- when all of it was gone
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version int4 not null default 1,
    primary key (merchant_id, id),
    unique (merchant_id, key, mode),
    check ((status = 'erased') = (erased_at is not null)),
    check (status = 'active' or key is null)
);

-- Other words that he is found by: keyed hashes of phone numbers and e-mail addresses.
create table reli.customer_handle (
    merchant_id uuid not null,
    mode text collate "C" not null check (mode in ('test', 'live')),
    handle bytea not null,
    key bytea not null,
    primary key (merchant_id, handle, mode, key)
);
create index customer_handle_key on reli.customer_handle (merchant_id, key, mode);

create table reli.payment (
    merchant_id uuid not null,
    id uuid not null,
    mode text not null check (mode in ('test', 'live')),
    status text not null check (status in ('pending', 'processing', 'requires_action',
        'in_reconciliation', 'completed', 'failed', 'expired', 'cancelled', 'partially_refunded',
        'refunded', 'reversed')),
    version int4 not null,  -- seq of the last event
    revision int4 not null, -- grows with every write: what compare-and-set compares
    op_id uuid not null,    -- the last write's own id
    reference text not null,
    reference_no text not null,
    pay_code text not null,
    provider text not null,
    payment_method text not null,
    account_id uuid not null,
    amount int8 not null check (amount > 0),
    currency text not null,
    received int8 not null default 0 check (received >= 0),
    refunded int8 not null default 0 check (refunded >= 0),
    refund_reserved int8 not null default 0 check (refund_reserved >= 0),
    fee int8 not null default 0 check (fee >= 0), -- taken
    fee_due int8 not null default 0,         -- taken if it completes in time
    fee_on_top bool not null default false,  -- the customer is asked for amount and fee_due
    fee_version int4 not null default 0,     -- of reli.fee_schedule; 0 none
    customer_id text,       -- the merchant's own
    customer_key bytea,     -- of reli.customer
    counted bytea,          -- 16 bytes for each reli.limit_counter that it counts in; null none
    pii bytea,              -- sealed phone, e-mail, name: the only place on this side
    description text,
    return_url text,
    callback_url text,
    metadata json,
    next_action json,
    failure_code text,
    failure_provider_code text,
    failure_message text,
    provider_ref text,
    receipt text,
    status_source text not null check (status_source in ('api', 'callback', 'poll', 'operator',
        'statement')),
    late bool not null default false,
    traceparent text, -- of the request that made it: its webhooks carry it
    recon_since timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    expires_at timestamptz not null,
    completed_at timestamptz,
    primary key (merchant_id, id),
    check (refunded + refund_reserved <= received),
    check (fee <= fee_due and fee <= received),
    check (status not in ('completed', 'partially_refunded', 'refunded', 'reversed')
           or (received > 0 and completed_at is not null)),
    check (status in ('completed', 'partially_refunded', 'refunded', 'reversed') or received = 0)
) partition by range (id);

create index payment_customer on reli.payment (merchant_id, customer_key, id)
    where customer_key is not null;

-- One request to a provider. Its public id is the payment's with the low four bits set to n.
create table reli.attempt (
    merchant_id uuid not null,
    payment_id uuid not null,
    n int2 not null check (n between 1 and 15),
    mode text not null check (mode in ('test', 'live')),
    status text not null check (status in ('created', 'sending', 'submitted', 'uncertain',
        'rejected', 'succeeded', 'failed', 'expired', 'not_found')),
    provider text not null,
    account_id uuid not null,
    amount int8 not null check (amount > 0),
    currency text not null,
    provider_ref text,
    receipt text,
    provider_code text,
    code text,
    sent_at timestamptz not null, -- write-ahead: committed before a byte leaves
    answered_at timestamptz,
    poll_n int2 not null default 0,
    next_poll_at timestamptz,
    route json, -- how its provider was chosen; null: the client named it
    codes_n int2 not null default 0, -- one-time codes handed on
    cancel_asked bool not null default false,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version int4 not null default 1,
    primary key (merchant_id, payment_id, n)
) partition by range (payment_id);

-- Money on its way back. Its events are the payment's: their seq is the payment's version.
create table reli.refund (
    merchant_id uuid not null,
    id uuid not null,
    payment_id uuid not null,
    mode text not null check (mode in ('test', 'live')),
    status text not null check (status in ('pending_approval', 'pending', 'processing',
        'in_reconciliation', 'completed', 'failed', 'rejected', 'cancelled')),
    version int4 not null, -- seq of its last event
    amount int8 not null check (amount > 0),
    currency text not null,
    reason text,
    requested_by text not null,
    requester text not null, -- the person behind requested_by
    approved_by text,
    account_id uuid not null,
    late bool not null default false,
    excess bool not null default false, -- paid beyond what was received, which counts it nowhere
    failure_code text,
    failure_provider_code text,
    failure_message text,
    provider_ref text,
    receipt text,
    recon_since timestamptz,
    park_n int2 not null default 0, -- times that it has waited for a rail that was busy
    created_at timestamptz not null,
    updated_at timestamptz not null,
    completed_at timestamptz,
    traceparent text, -- of the request that made it: what the provider is sent
    primary key (merchant_id, id)
) partition by range (id);

create table reli.refund_attempt (
    merchant_id uuid not null,
    refund_id uuid not null,
    n int2 not null check (n between 1 and 15),
    mode text not null check (mode in ('test', 'live')),
    rail text not null check (rail in ('reversal', 'payout', 'manual')),
    status text not null check (status in ('sending', 'submitted', 'uncertain', 'rejected',
        'succeeded', 'failed')),
    provider_ref text,
    receipt text,
    provider_code text,
    code text,
    sent_at timestamptz not null,
    answered_at timestamptz,
    poll_n int2 not null default 0,
    next_poll_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version int4 not null default 1,
    primary key (merchant_id, refund_id, n)
) partition by range (refund_id);

-- A payment's refunds.
create table reli.refund_owner (
    merchant_id uuid not null,
    payment_id uuid not null,
    refund_id uuid not null,
    primary key (merchant_id, payment_id, refund_id)
) partition by range (payment_id);

-- Money out. Its events are its own: their subject is the payout, their seq its version. What it
-- says of its only open request to the provider is in the row; what was exchanged is in
-- provider_call.
create table reli.payout (
    merchant_id uuid not null,
    id uuid not null,
    mode text not null check (mode in ('test', 'live')),
    status text not null check (status in ('pending_approval', 'queued', 'parked', 'processing',
        'in_reconciliation', 'completed', 'failed', 'rejected', 'cancelled', 'returned')),
    version int4 not null,  -- seq of the last event
    revision int4 not null, -- grows with every write: what compare-and-set compares
    op_id uuid not null,    -- the last write's own id
    reference text collate "C" not null,
    provider text not null,
    payment_method text not null,
    account_id uuid not null,
    amount int8 not null check (amount > 0),
    currency text not null,
    pii bytea,       -- sealed phone and name of who gets it: the only place
    payee_key bytea, -- what he is found by: a handle as in reli.customer_handle
    purpose text,
    description text,
    callback_url text,
    metadata json,
    requested_by text not null,
    requester text not null, -- the person behind requested_by
    approved_by text,
    wallet_id uuid not null, -- of reli.ledger_guarded: what the hold is on
    late bool not null default false,
    failure_code text,
    failure_provider_code text,
    failure_message text,
    provider_ref text,
    receipt text,
    n int2 not null default 0 check (n between 0 and 15), -- requests so far
    request text not null check (request in ('none', 'sending', 'submitted', 'uncertain',
        'disputed', 'refused', 'unpaid', 'paid')),
    paid_n int2 not null default 0, -- the request that was paid
    sent_at timestamptz, -- write-ahead: committed before a byte leaves
    answered_at timestamptz,
    poll_n int2 not null default 0,
    park_n int2 not null default 0,
    next_at timestamptz,
    recon_since timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    completed_at timestamptz,
    traceparent text, -- of the request that made it: what the provider is sent, and its webhooks
    primary key (merchant_id, id),
    check (request <> 'sending' or sent_at is not null),
    check (status <> 'completed' or (completed_at is not null and paid_n > 0)),
    check (status not in ('queued', 'parked') or request in ('none', 'refused'))
) partition by range (id);
create index payout_named on reli.payout (merchant_id, reference, id);
create index payout_payee on reli.payout (merchant_id, payee_key)
    where payee_key is not null;

-- Which payout a reference names: the latest, those before it ended without money.
create table reli.payout_reference (
    merchant_id uuid not null,
    mode text collate "C" not null check (mode in ('test', 'live')),
    reference text collate "C" not null,
    payout_id uuid not null,
    version int4 not null, -- grows whenever it is taken
    primary key (merchant_id, reference, mode)
);

-- What happened, in public words. data is the payment, refund or
-- payout as it was, without personal data.
create table reli.event (
    merchant_id uuid not null,
    subject_id uuid not null,
    seq int4 not null check (seq > 0),
    id uuid not null,
    mode text not null check (mode in ('test', 'live')),
    type text not null,
    data text not null,
    created_at timestamptz not null,
    primary key (merchant_id, subject_id, seq)
) partition by range (subject_id);

-- Who did what: one row per move, insert-only for the service's role.
create table reli.audit_log (
    merchant_id uuid not null,
    subject_id uuid not null,
    id uuid not null,
    mode text not null check (mode in ('test', 'live')),
    action text not null,
    actor text not null,
    before text,
    after text,
    detail text,
    created_at timestamptz not null,
    primary key (merchant_id, subject_id, id)
) partition by range (subject_id);

create table reli.ledger_account (
    merchant_id uuid not null,
    id uuid not null, -- a hash of what names it
    mode text not null check (mode in ('test', 'live')),
    type text not null,
    owner text not null,
    currency text not null,
    status text not null check (status in ('open', 'closed')),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version int4 not null default 1,
    primary key (merchant_id, id)
);

-- One debit, one credit, one amount: no row can unbalance the books. Append-only.
create table reli.ledger_transfer (
    merchant_id uuid not null,
    journal_id uuid not null, -- the payment, or the attempt for money that is not the payment's
    step int2 not null,
    mode text not null check (mode in ('test', 'live')),
    kind text not null,
    debit_id uuid not null,
    credit_id uuid not null check (credit_id <> debit_id),
    amount int8 not null check (amount > 0),
    currency text not null,
    state text not null check (state in ('pending', 'posted', 'voided', 'expired')),
    payment_id uuid not null,
    created_at timestamptz not null,
    primary key (merchant_id, journal_id, step)
) partition by range (journal_id);
-- From a payment to those of its journals that are not named by it.
create index ledger_transfer_later on reli.ledger_transfer (merchant_id, payment_id)
    where journal_id <> payment_id;

-- What was committed and has no position yet: one row per statement and merchant, arrays with an
-- item per unit of work. Short, for what is given positions is deleted. id is the op_id of one of
-- the units.
create table reli.log_new (
    merchant_id uuid not null,
    id uuid not null,
    ops uuid[] not null,
    subjects uuid[] not null,
    seq_from int4[] not null, -- events of the subject; 0 none
    seq_to int4[] not null,
    audit_a uuid[] not null,  -- audit rows of the subject; null none
    audit_b uuid[] not null,
    journals uuid[] not null, -- ledger transfers, steps 1 to `steps`; null none
    steps int2[] not null,
    primary key (merchant_id, id)
) with (toast_tuple_target = 8160);
-- Not worth compressing for the second that they live.
alter table reli.log_new alter ops set storage external, alter subjects set storage external,
    alter audit_a set storage external, alter audit_b set storage external,
    alter journals set storage external;

-- Gapless positions in the order of commits, insert-only: ids do not arrive in commit order, so
-- lists and seals go by these. A row holds the positions `position` to `position + n - 1`. kind 1:
-- events (subject, seq); 2: audit rows (subject, row id).
create table reli.log_position (
    merchant_id uuid not null,
    kind int2 not null check (kind in (1, 2)),
    position int8 not null check (position > 0),
    n int4 not null check (n > 0),
    subjects uuid[] not null,
    seqs int4[],
    row_ids uuid[],
    primary key (merchant_id, kind, position)
);
-- Ids that resemble each other in half of their bytes take long to compress, and hardly shrink.
alter table reli.log_position alter subjects set storage external,
    alter row_ids set storage external;

-- Balance of an account as of the transfers that have passed through log_new: debits minus credits.
create table reli.ledger_balance (
    merchant_id uuid not null,
    account_id uuid not null,
    balance int8 not null,
    n_transfers int8 not null,
    updated_at timestamptz not null,
    primary key (merchant_id, account_id)
);

-- What guarded accounts have left: their balance less what is held. Moved only where it stays zero
-- or more. `version` counts what was brought into it from pending: who brings more compares it.
create table reli.ledger_guarded (
    merchant_id uuid not null,
    account_id uuid not null,
    balance int8 not null check (balance >= 0),
    version int4 not null,
    updated_at timestamptz not null,
    primary key (merchant_id, account_id)
);

-- The audit trail's hash chain, over ranges of positions; mac is made with a key that the database
-- does not hold.
create table reli.audit_seal (
    merchant_id uuid not null,
    n int8 not null check (n > 0),
    from_position int8 not null,
    to_position int8 not null check (to_position >= from_position),
    hash bytea not null,
    mac bytea not null,
    created_at timestamptz not null,
    primary key (merchant_id, n)
);

-- Which payment a chosen or shown word names: reference, reference_no and pay_code share one space.
create table reli.reference_owner (
    merchant_id uuid not null,
    mode text collate "C" not null check (mode in ('test', 'live')),
    reference text collate "C" not null,
    payment_id uuid not null,
    primary key (merchant_id, reference, mode)
);

-- A provider's proof of payment counts once.
create table reli.receipt (
    merchant_id uuid not null,
    mode text collate "C" not null check (mode in ('test', 'live')),
    provider text collate "C" not null,
    receipt text collate "C" not null,
    payment_id uuid not null,
    created_at timestamptz not null,
    primary key (merchant_id, receipt, provider, mode)
);

-- Answers to requests that may come again. Four slots used in turn, one per period of
-- RELI_IDEMPOTENCY_RETENTION; a slot is emptied whole two periods after its use.
create table reli.idempotency (
    merchant_id uuid not null,
    mode text collate "C" not null check (mode in ('test', 'live')),
    key text collate "C" not null,
    slot int2 not null,
    period int4 not null,
    fingerprint bytea not null,
    payment_id uuid not null,
    http_status int2,   -- null: in flight
    seq int4,           -- the event whose snapshot is the answer's body
    provider_ref text,  -- as shown in that answer
    problem text,       -- the body of a cached refusal
    lease_until timestamptz not null,
    created_at timestamptz not null,
    primary key (merchant_id, key, mode, slot)
) partition by list (slot);
create table reli.idempotency_0 partition of reli.idempotency for values in (0)
    with (fillfactor = 60);
create table reli.idempotency_1 partition of reli.idempotency for values in (1)
    with (fillfactor = 60);
create table reli.idempotency_2 partition of reli.idempotency for values in (2)
    with (fillfactor = 60);
create table reli.idempotency_3 partition of reli.idempotency for values in (3)
    with (fillfactor = 60);

-- The next deadline of each machine. The key orders (kind, subject, n); bucket spreads replicas.
create table reli.job (
    merchant_id uuid not null,
    kind text collate "C" not null check (kind in ('payment', 'refund', 'payout', 'inbound',
        'fanout', 'delivery', 'upkeep', 'erasure', 'reseal')),
    subject uuid not null,
    n int4 not null default 0,
    bucket int2 not null,
    run_at timestamptz not null,
    lease_owner uuid,
    lease_until timestamptz not null,
    tries int2 not null default 0,
    primary key (merchant_id, subject, n, kind)
) with (fillfactor = 70);
create index job_due on reli.job (bucket, kind, run_at);

-- Callbacks from providers, as they came. subject_id is the attempt (or account) that the URL
-- named.
create table reli.provider_event (
    merchant_id uuid not null,
    subject_id uuid not null,
    dedupe_key bytea not null,
    id uuid not null,
    mode text not null check (mode in ('test', 'live')),
    provider text not null,
    payment_id uuid not null,
    attempt_n int2 not null,
    kind text not null check (kind ~ '^[a-z]{0,16}$'), -- which of the attempt's URLs
    state text not null check (state in ('received', 'verified', 'processed', 'ignored', 'retry',
        'dead', 'rejected')),
    reason text,
    peer text not null,
    ip_ok bool not null,
    raw bytea not null, -- sealed
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version int4 not null default 1,
    primary key (merchant_id, subject_id, dedupe_key)
) partition by range (subject_id);
create index provider_event_age on reli.provider_event using brin (created_at);
-- The id first: of a table without statistics PostgreSQL takes whichever index is smaller, and one
-- that begins with merchant_id would be taken for the key's, by the merchant alone.
create index provider_event_id on reli.provider_event (id, merchant_id);
-- News of money sent unasked: payment_id is the account until it is known whose it is, then the
-- payment's or the exception's.
create index provider_event_paid on reli.provider_event (merchant_id, payment_id)
    where kind = 'confirmation';

-- What was said to a provider and what it answered, redacted and sealed.
create table reli.provider_call (
    merchant_id uuid not null,
    payment_id uuid not null,
    id uuid not null,
    mode text not null check (mode in ('test', 'live')),
    attempt_n int2 not null,
    op text not null,
    http_status int4 not null,
    took_us int8 not null,
    outcome text not null check (outcome in ('ok', 'refused', 'ambiguous')),
    body bytea not null, -- sealed
    created_at timestamptz not null,
    primary key (merchant_id, payment_id, id)
) partition by range (payment_id);
create index provider_call_age on reli.provider_call using brin (created_at);

-- The operators' one queue.
create table reli.exception_item (
    merchant_id uuid not null,
    id uuid not null,
    mode text not null check (mode in ('test', 'live')),
    kind text not null check (kind in ('integrity_failure', 'double_success', 'double_refund',
        'stuck', 'sig_forged', 'receipt_taken', 'callback_dead', 'endpoint_disabled',
        'refund_manual', 'refund_revoked', 'refund_late', 'reversed', 'dispute', 'unallocated',
        'payout_late', 'double_payout')),
    subject_id uuid not null, -- payment, refund or payout, which the id tells; else the item itself
    attempt_n int2, -- of the subject
    amount int8, -- what waits in `unallocated`; null: nothing does
    currency text,
    detail text,
    -- assigned: one person has proposed a resolution, another one has to agree
    status text not null check (status in ('open', 'assigned', 'resolved')),
    resolution text,
    evidence text,
    receipt text,
    payer bytea, -- sealed; of money that came unasked
    payer_key bytea, -- what he is found by: a handle as in reli.customer_handle
    ref text collate "C", -- the provider's id of a dispute
    data jsonb, -- what is known of it
    proposed_by text,
    proposer text, -- the person behind proposed_by
    resolved_by text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version int4 not null default 1,
    primary key (merchant_id, id),
    check (status <> 'assigned' or (resolution is not null and proposed_by is not null
                                    and proposer is not null)),
    check (status <> 'resolved' or (resolution is not null and resolved_by is not null))
);
create unique index exception_item_ref on reli.exception_item (merchant_id, subject_id, ref)
    where ref is not null;
create index exception_item_waiting on reli.exception_item (merchant_id, subject_id)
    where status <> 'resolved';
create index exception_item_payer on reli.exception_item (merchant_id, payer_key)
    where payer_key is not null;
create index exception_item_named on reli.exception_item (merchant_id, subject_id)
    where payer is not null;

create table reli.webhook_endpoint (
    merchant_id uuid not null,
    id uuid not null,
    mode text collate "C" not null check (mode in ('test', 'live')),
    url text not null,
    events text not null, -- types by commas, '*' for all
    description text,
    status text not null check (status in ('enabled', 'disabled')),
    status_reason text,
    ordered bool not null default false, -- a payment's events one after the other
    secrets bytea not null, -- sealed: newest first
    slot int2 not null check (slot between 1 and 16), -- so many a merchant and mode
    failing_since timestamptz, -- nothing but failures since then: the first of them,
    failing_at timestamptz,    -- the first of the last day that had one,
    failing_days int2 not null default 0, -- and how many days (UTC) had some
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version int4 not null default 1,
    primary key (merchant_id, id),
    unique (merchant_id, mode, slot)
);

-- One event to one place. endpoint_id is the payment's id when it goes to the payment's
-- callback_url.
create table reli.webhook_delivery (
    merchant_id uuid not null,
    id uuid not null,
    mode text not null check (mode in ('test', 'live')),
    payment_id uuid not null,
    seq int4 not null,
    event_id uuid not null,
    event_type text not null,
    endpoint_id uuid not null,
    status text not null check (status in ('scheduled', 'sending', 'delivered', 'retry', 'dead',
        'cancelled')),
    revision int4 not null,
    tries int2 not null default 0,
    next_at timestamptz,
    last_http int4,
    last_error text,
    last_took_us int8,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (merchant_id, id)
) partition by range (id);

-- Each request of a delivery and what came of it; that which delivered it stands there already, and
-- is here only if it was answered with something.
create table reli.delivery_attempt (
    merchant_id uuid not null,
    delivery_id uuid not null,
    n int2 not null,
    at timestamptz not null, -- when it ended
    http int4 not null, -- 0: no complete answer
    error text,
    took_us int8 not null,
    answer bytea, -- sealed: the first bytes
    primary key (merchant_id, delivery_id, n)
) partition by range (delivery_id);
create index delivery_attempt_age on reli.delivery_attempt using brin (at);

-- Which deliveries an event has: one per endpoint, and one more per replay (n).
create table reli.delivery_owner (
    merchant_id uuid not null,
    payment_id uuid not null,
    seq int4 not null,
    endpoint_id uuid not null,
    n int2 not null,
    delivery_id uuid not null,
    primary key (merchant_id, payment_id, seq, endpoint_id, n)
) partition by range (payment_id);

-- Tickets for WebSockets that have been used; a row keeps one from being used again.
create table reli.ticket_use (
    merchant_id uuid not null,
    id uuid not null, -- a UUIDv7: when the ticket was made
    primary key (merchant_id, id)
);

-- Whether new payments are taken, for all replicas: one row at most.
create table reli.maintenance (
    merchant_id uuid primary key check (merchant_id = '00000000-0000-0000-0000-000000000000'),
    is_on bool not null,
    message text,
    changed_by text not null,
    updated_at timestamptz not null,
    version int4 not null default 1
);

-- What was refused to whom: equal events that came close together are one row. Of callers who are
-- not known the platform merchant's.
create table reli.security_event (
    merchant_id uuid not null,
    id uuid not null, -- of the first
    kind text not null check (kind ~ '^[a-z_]{1,32}$'),
    address text not null,
    actor text,
    route text not null,
    detail text,
    times int8 not null check (times > 0),
    created_at timestamptz not null,
    last_at timestamptz not null,
    primary key (merchant_id, id)
) partition by range (id);

-- What payment_create.sql is given: arrays of rows, which cost the server a third of what arrays of
-- their columns do. The columns are those of store/rows.c, behind the number of the unit.
create type reli.payment_new as (
    ord int4, whose uuid, id uuid, mode text, status text, version int4, op_id uuid,
    reference text, reference_no text, pay_code text, provider text, payment_method text,
    account_id uuid, amount int8, currency text, customer_id text, pii bytea, description text,
    return_url text, callback_url text, metadata json, next_action json, failure_code text,
    failure_message text, status_source text, created_at timestamptz, expires_at timestamptz,
    previous_owner uuid, idem_key text, idem_slot int2, idem_slot_b int2, idem_look_a int2,
    idem_look_b int2, idem_period int4, idem_held bool, idem_fingerprint bytea,
    idem_lease timestamptz, idem_http int2, idem_seq int4, job_run_at timestamptz,
    job_bucket int2, job_owner uuid, job_lease timestamptz, audit_a uuid, audit_b uuid,
    fee_due int8, fee_version int4, fee_on_top bool, customer_row uuid, customer_key bytea,
    handle_a bytea, handle_b bytea, counted bytea, traceparent text
);
create type reli.attempt_new as (
    ord int4, whose uuid, payment_id uuid, n int2, mode text, status text, provider text,
    account_id uuid, amount int8, currency text, provider_ref text, receipt text,
    provider_code text, code text, sent_at timestamptz, answered_at timestamptz, poll_n int2,
    next_poll_at timestamptz, at timestamptz, route json, codes_n int2, cancel_asked bool
);
create type reli.event_new as (
    ord int4, whose uuid, subject_id uuid, seq int4, id uuid, mode text, type text,
    data text, at timestamptz, bucket int2, owner uuid, lease timestamptz
);
create type reli.audit_new as (
    ord int4, whose uuid, subject_id uuid, id uuid, mode text, action text, actor text,
    before text, after text, detail text, at timestamptz
);
-- What payment_move.sql is given beside the last three.
create type reli.payment_change as (
    ord int4, whose uuid, id uuid, mode text, revision int4, op_id uuid, status text,
    version int4, received int8, status_source text, late bool, failure_code text,
    failure_provider_code text, failure_message text, provider text, provider_ref text,
    receipt text, receipt_claim text, next_action json, recon_since timestamptz,
    completed_at timestamptz, updated_at timestamptz, job_run_at timestamptz, job_bucket int2,
    job_owner uuid, job_lease timestamptz, idem_key text, idem_slot int2, idem_slot_b int2,
    idem_http int2, idem_seq int4, idem_provider_ref text, inbound_subject uuid, inbound_key bytea,
    inbound_n int4, inbound_state text, inbound_reason text, log_seq int4, audit_a uuid,
    journal_id uuid, journal_steps int2, refunded int8, reserved int8, fee int8, job_kind text,
    job_subject uuid, idem_subject uuid, idem_fingerprint bytea, idem_look_a int2, idem_look_b int2,
    idem_period int4, idem_lease timestamptz, account_id uuid, claim_provider text, audit_b uuid,
    fee_due int8
);
create type reli.account_new as (
    ord int4, whose uuid, payment_id uuid, id uuid, mode text, type text, owner text,
    currency text, at timestamptz
);
create type reli.transfer_new as (
    ord int4, whose uuid, payment_id uuid, journal_id uuid, step int2, mode text, kind text,
    debit_id uuid, credit_id uuid, amount int8, currency text, at timestamptz
);
create type reli.exception_new as (
    ord int4, whose uuid, payment_id uuid, id uuid, subject_id uuid, attempt_n int2,
    mode text, kind text, detail text, amount int8, currency text, at timestamptz
);
create type reli.call_new as (
    ord int4, whose uuid, payment_id uuid, id uuid, mode text, attempt_n int2, op text,
    http_status int4, took_us int8, outcome text, body bytea, at timestamptz
);
create type reli.refund_new as (
    ord int4, whose uuid, id uuid, payment_id uuid, mode text, status text, version int4,
    amount int8, currency text, reason text, requested_by text, approved_by text, account_id uuid,
    late bool, excess bool, failure_code text, failure_provider_code text, failure_message text,
    provider_ref text, receipt text, recon_since timestamptz, park_n int2,
    created_at timestamptz, updated_at timestamptz, completed_at timestamptz, is_new bool,
    traceparent text, requester text
);
create type reli.refund_attempt_new as (
    ord int4, whose uuid, payment_id uuid, refund_id uuid, n int2, mode text, rail text,
    status text, provider_ref text, receipt text, provider_code text, code text,
    sent_at timestamptz, answered_at timestamptz, poll_n int2, next_poll_at timestamptz,
    at timestamptz
);
create type reli.resolution_new as (
    ord int4, whose uuid, payment_id uuid, subject_id uuid, item_id uuid, resolution text,
    evidence text, resolved_by text, at timestamptz
);
create type reli.limit_new as (
    ord int4, whose uuid, payment_id uuid, pos int2, id uuid, about text, amount int8, n int8,
    max_amount int8, max_count int8
);
-- And callback_store.sql.
create type reli.inbound_new as (
    ord int4, whose uuid, subject_id uuid, dedupe_key bytea, id uuid, mode text,
    provider text, payment_id uuid, attempt_n int2, kind text, peer text, ip_ok bool, raw bytea,
    at timestamptz, job_n int4, job_bucket int2, job_owner uuid, job_lease timestamptz
);

-- Partitions for the month of p_from and the two after it, and a default one for what lies outside,
-- of the first table that lacks some: how many it made, 0 once none does. For every partitioned
-- table whose key is a UUIDv7. One table in a transaction, since nobody else gets at it meanwhile:
-- with two, who uses both could hold the one and wait for the other. And whoever reads a table for
-- long, as pg_dump does, must not keep all others from it behind this. Owned by the migration role:
-- the service calls it.
create function reli.partitions_ensure(p_from timestamptz) returns int
language plpgsql security definer set search_path = pg_catalog set lock_timeout = '1s' as $$
declare
    t text;
    m timestamptz;
    made int := 0;
    lo text;
    hi text;
    part text;
begin
    foreach t in array array['payment', 'attempt', 'event', 'audit_log', 'ledger_transfer',
            'limit_counter', 'provider_event', 'provider_call', 'webhook_delivery',
            'delivery_attempt', 'delivery_owner', 'refund', 'refund_attempt', 'refund_owner',
            'payout', 'security_event'] loop
        if to_regclass(format('reli.%I', t || '_default')) is null then
            execute format('create table reli.%I partition of reli.%I default', t || '_default', t);
            made := made + 1;
        end if;
        for i in 0..2 loop
            m := date_trunc('month', p_from at time zone 'UTC') + make_interval(months => i);
            part := t || '_' || to_char(m, 'YYYYMM');
            if to_regclass(format('reli.%I', part)) is null then
                lo := lpad(to_hex((extract(epoch from m at time zone 'UTC')
                                   * 1000)::int8), 12, '0');
                hi := lpad(to_hex((extract(epoch from (m + interval '1 month') at time zone 'UTC')
                                   * 1000)::int8), 12, '0');
                execute format(
                    'create table reli.%I partition of reli.%I for values from (%L) to (%L)%s',
                    part, t, overlay(lo placing '-' from 9 for 0) || '-0000-0000-000000000000',
                    overlay(hi placing '-' from 9 for 0) || '-0000-0000-000000000000',
                    -- each row moves soon: beside itself, which no index has to learn
                    case when t in ('payment', 'attempt', 'provider_event', 'webhook_delivery')
                         then ' with (fillfactor = 50)' else '' end);
                made := made + 1;
            end if;
        end loop;
        exit when made > 0;
    end loop;
    return made;
end $$;

-- Empties the idempotency slot that the period after the next will use, if rows of older periods
-- are still in it.
create function reli.idempotency_turn(p_period int4) returns bool
language plpgsql security definer set search_path = pg_catalog as $$
declare
    s int := (p_period + 2) % 4;
    old bool;
begin
    execute format('select exists (select 1 from reli.%I where period < $1)', 'idempotency_' || s)
        into old using p_period - 1;
    if old then
        execute format('truncate reli.%I', 'idempotency_' || s);
    end if;
    return old;
end $$;

-- Drops what was noted for security before p_before, and never what is younger than 30 days: the
-- service adds to it, and changes nothing. At most p_limit rows.
create function reli.security_events_drop(p_before timestamptz, p_limit int8) returns int8
language plpgsql security definer set search_path = pg_catalog as $$
declare
    n int8;
begin
    delete from reli.security_event e
    using (select o.merchant_id, o.id from reli.security_event o
           where o.last_at < least(p_before, now() - interval '30 days')
             and o.id < (overlay(lpad(to_hex((extract(epoch from p_before) * 1000)::int8), 12, '0')
                                 placing '-' from 9 for 0) || '-0000-0000-000000000000')::uuid
           limit p_limit) old
    where e.merchant_id = old.merchant_id and e.id = old.id;
    get diagnostics n = row_count;
    return n;
end $$;

-- What the service's role may do; called by `reli migrate` for that role.
create function reli.grant_service(p_role text) returns void
language plpgsql set search_path = pg_catalog as $$
declare
    t record;
begin
    execute format('grant usage on schema reli to %I', p_role);
    -- Rights on a partitioned table cover its partitions, as long as these are not named
    -- themselves.
    for t in select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'reli' and c.relkind in ('r', 'p') and not c.relispartition loop
        execute format('grant select on reli.%I to %I', t.relname, p_role);
        if t.relname in ('audit_log', 'event', 'ledger_transfer', 'log_position',
                         'audit_seal', 'fee_schedule', 'route_set', 'security_event') then
            execute format('grant insert on reli.%I to %I', t.relname, p_role);
        elsif t.relname not in ('schema_migration', 'schema_lock') then
            execute format('grant insert, update, delete on reli.%I to %I', t.relname, p_role);
        end if;
    end loop;
    execute format('grant execute on function reli.partitions_ensure(timestamptz),
                    reli.idempotency_turn(int4), reli.security_events_drop(timestamptz, int8),
                    reli.limit_grant(int4[], int2[], int4[], int8[], int8[], int8[], int8[])
                    to %I', p_role);
end $$;
revoke execute on all functions in schema reli from public;

do $$ begin
    while reli.partitions_ensure(now()) > 0 loop
    end loop;
end $$;
