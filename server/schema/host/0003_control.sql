-- Hosts that can become the cloud's control plane: they have what it needs, and a door of their own when they work.
alter table host.member
  add column is_control boolean not null default false;
-- A token of such a host gives its bearer all of the cloud's secrets.
alter table host.join_token
  add column is_control boolean not null default false;
