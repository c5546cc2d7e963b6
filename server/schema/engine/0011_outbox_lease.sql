-- Publishing waits for the broker, and no transaction is open meanwhile: a lease makes one publisher in the whole cloud.
alter table engine.outbox_published
  add column owner text,
  add column fence bigint not null default 0,
  add column lease_until timestamptz;
