"""A seeded simulation of workers and gateways over twins of their servers, and an auditor. `make sim`; see CONTRIBUTING.md.

Breaks in our code that it was seen to notice within its first ten seeds, most in each of the first two, and by what:

- a repeated command decided again, and the store silent about it: an event is sent again with other words;
- a copy within a batch not known as one: the batch is raced for ever, records are never acknowledged;
- a key used for a second request: the claim has two owners;
- stored events not sent again: a version is missing, a request has no answer;
- events before the commit: they are told again with other words, or of what was rolled back;
- offsets acknowledged before the events, or a batch acknowledged or dropped because Postgres failed: no answer;
- no row lock, by itself or without the check of versions: decided on an older state, time runs backwards;
- no check of versions, with the lock: two workers create one slot (seed 3); no check of requests raced: two owners of a claim;
- decided requests and clock read before the locks: time runs backwards;
- a slot created while the batch was read (`workers.applying`): version 1 told, and the cache was not (seed 10);
- no invalidation, or one after the events, with old versions, of changed slots only, not of the lists: told before its tombstone;
- cached past the next expiry, a stale value served or stored in spite of a tombstone, or one reading shared with who asked
  after it began (seldom): a gateway answers with less than was told before it was asked;
- expiries in another order, or not before the decision; arrivals that go back, or are the time of the decision: other words;
- batches' events sent side by side, records not forwarded or not put aside, an `Expire` sent only once.

Not noticed, and rightly: batches of an assignment that is over are decided or acknowledged all the same (`is_ours`). What a
worker has lies in one piece from a committed offset on, so Postgres finds the first decided and the rest in order; the check
spares work.
"""
