drop index payments_open;
