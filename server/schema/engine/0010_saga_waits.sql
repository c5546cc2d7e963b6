-- How often in a row the present node found its other side away (a host, an engine, the database). Such a saga waits and
-- goes on when that is back, so these tries do not count as failed ones.
alter table engine.saga add column waits integer not null default 0;
create index saga_waiting on engine.saga (waits) where waits > 0;
