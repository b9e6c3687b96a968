drop table payment_events, payments, orders;

alter table holds
    drop constraint holds_status_check,
    drop column unit_price,
    drop column currency,
    drop column order_id;

update holds set status = 'cancelled' where status = 'used';

alter table holds
    add constraint holds_status_check check (status in ('held', 'confirmed', 'cancelled', 'expired'));
