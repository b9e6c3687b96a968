drop view live_seat_holds;

drop table seat_holds;

drop function keep_seat_holds();
