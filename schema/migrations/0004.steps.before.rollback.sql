alter table requests drop column step_of;
