-- Which life of this database it is. A restored backup begins another one, above every earlier one: commands of the
-- old life are refused by hosts, and nothing is destroyed for rows that may be missing or old.
create table platform.cloud (
  is_only boolean primary key default true check (is_only),
  epoch bigint not null,
  epoch_id uuid not null,
  began_at timestamptz not null default now()
);
-- Seconds since 1970, so that a database made anew is above the one that was lost.
insert into platform.cloud (epoch, epoch_id) values (extract(epoch from now())::bigint, gen_random_uuid());
