// Only the standard library is used, so this names nothing else.
module bench

go 1.19
