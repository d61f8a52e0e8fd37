-- Distributes the schema over the nodes of a Citus cluster, by merchant: once, on the coordinator, as
-- the owner, after `reli migrate` and before there is much data. Plain PostgreSQL needs none of it.
-- `make lint` compares it with the migrations: every table is here.

-- People, keys and merchants stay on the coordinator, as tables of PostgreSQL's own: api_key,
-- api_key_lookup, account_user, user_lookup, user_merchant, membership, invitation, session, login_guard,
-- merchant. They are small, and look-ups by other keys than the merchant.

-- Everything else lies with its merchant; what belongs to the installation, with the platform merchant.
select create_distributed_table('reli.payment', 'merchant_id', colocate_with => 'none');
select create_distributed_table('reli.fee_schedule', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.limit_rule', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.limit_counter', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.provider_account', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.provider_balance', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.route_set', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.installation_key', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.replica', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.customer', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.customer_handle', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.attempt', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.refund', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.refund_attempt', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.refund_owner', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.payout', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.payout_reference', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.event', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.audit_log', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.ledger_account', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.ledger_transfer', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.log_new', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.log_position', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.ledger_balance', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.ledger_guarded', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.audit_seal', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.reference_owner', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.receipt', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.idempotency', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.job', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.provider_event', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.provider_call', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.exception_item', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.webhook_endpoint', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.webhook_delivery', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.delivery_attempt', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.delivery_owner', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.ticket_use', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.maintenance', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.security_event', 'merchant_id', colocate_with => 'reli.payment');
