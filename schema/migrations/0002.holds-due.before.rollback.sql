drop index holds_due;
