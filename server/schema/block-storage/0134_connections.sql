-- Hosts that say the same reach each other's volumes over a network. To which host a volume is given so: until its host
-- has heard that this one has it no more.
alter table block_storage.pool add column connects text;
create index pool_of_connects on block_storage.pool (connects) where connects is not null;

create sequence block_storage.connection_generation as bigint;

create table block_storage.connection (
  volume_id uuid primary key references block_storage.volume (id) on delete cascade,
  host text not null,
  -- Of a machine outside of the cloud; null: the host's own.
  initiator text,
  generation bigint not null,
  tried_at timestamptz
);
