"""A seeded simulation of workers and gateways over twins of their servers, and an auditor. `make sim`; see CONTRIBUTING.md.

Some runs end one or two holds in a transaction, so that commands wait for their steps (`workers.steps`). Seen to be noticed with
these, each within its first three seeds, and by what:

- the events of steps not told, or told behind the command's own: a version is missing where it was due;
- no steps: a command is decided though holds are over that should have ended before it;
- events that name another cause than their command's claim;
- stored events not sent again, no row lock, decided requests and clock read before the locks, no invalidation, arrivals that go
  back or are the time of the decision: as below.

Breaks that it was seen to notice before there were steps, within its first ten seeds and most in each of the first two:

- a repeated command decided again, and the store silent about it: an event is sent again with other words;
- a copy within a batch not known as one: the batch is raced for ever, records are never acknowledged;
- a key used for a second request: the claim has two owners;
- stored events not sent again: a version is missing, a request has no answer;
- events before the commit: they are told again with other words, or of what was rolled back;
- offsets acknowledged before the events, or a batch acknowledged or dropped because Postgres failed: no answer;
- no row lock, by itself or without the check of versions: decided on an older state, time runs backwards;
- no check of versions, with the lock: two workers create one slot; no check of requests raced: two owners of a claim;
- decided requests and clock read before the locks: time runs backwards;
- a slot created while the batch was read (`workers.applying`): version 1 told, and the cache was not;
- no invalidation, or one after the events, with old versions, of changed slots only, not of the lists: told before its tombstone;
- cached past the next expiry, a stale value served or stored in spite of a tombstone, or one reading shared with who asked
  after it began (seldom): a gateway answers with less than was told before it was asked;
- expiries in another order, or not before the decision; arrivals that go back, or are the time of the decision: other words;
- batches' events sent side by side, records not forwarded or not put aside, an `Expire` sent only once.

Not noticed, and rightly: batches of an assignment that is over are decided or acknowledged all the same (`is_ours`). What a
worker has lies in one piece from a committed offset on, so Postgres finds the first decided and the rest in order; the check
spares work. Nor, as they need an accident that these seeds did not have: a step taken for a command that was decided meanwhile
(integration/test_steps.py has that), and a batch that is not taken apart where only a command before made another's arrival late.

Every fourth seed is a sale: holds and orders of products, a provider at its worst, money for orders that never come. Its auditor
(`sales`) does not decide again: it follows units and money event by event, and holds rows, words of providers and dead letters
to them. Seen to be noticed with sales, within the first three of them where no other is named:

- of the core: no refund asked back, money refunded and counted again, parked money that stays parked, orders that do not end
  at their deadline, an order paid with half;
- of the shell: refused payments not put aside (not again when their record comes again: in the fifth), words of providers not
  written, payments that live elsewhere not looked for, stored events not sent again.

Not noticed: a store silent about payments that were raced. Two products have to record one payment at one time for that.
Gateways read nothing in a sale, and its seats are not played.
"""
