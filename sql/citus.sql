-- Distributes the schema over the nodes of a Citus cluster, by merchant: once, on the coordinator, as
-- the owner, after `reli migrate` and before there is much data. Plain PostgreSQL needs none of it.
-- `make lint` compares it with the migrations: every table is here.

-- A copy on every node: look-ups by another key, and what is read with the rows of other merchants
-- (a person's session and what he is elsewhere). All of it is small, and seldom written.
select create_reference_table('reli.api_key_lookup');
select create_reference_table('reli.user_lookup');
select create_reference_table('reli.user_merchant');
select create_reference_table('reli.merchant');
select create_reference_table('reli.account_user');
select create_reference_table('reli.membership');
select create_reference_table('reli.invitation');
select create_reference_table('reli.api_key');

-- Everything else lies with its merchant; what belongs to the installation, with the platform merchant.
select create_distributed_table('reli.payment', 'merchant_id', colocate_with => 'none');
select create_distributed_table('reli.session', 'merchant_id', colocate_with => 'reli.payment');
select create_distributed_table('reli.login_guard', 'merchant_id', colocate_with => 'reli.payment');
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
