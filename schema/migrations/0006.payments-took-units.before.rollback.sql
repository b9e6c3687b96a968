alter table payments drop column took_units;
