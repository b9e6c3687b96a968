alter table payment_events drop column return_units;
