drop index requests_refused_payments;

alter table payments drop column open_since;
