-- The administrator's password of a new machine, for its guest to read. Sealed, and only while a guest may still be
-- starting: what is older is taken away with the next one that comes.
create table compute.admin_password (
  server_id uuid primary key references compute.server (id) on delete cascade,
  sealed text not null,
  made_at timestamptz not null default now()
);
create index admin_password_made on compute.admin_password (made_at);
