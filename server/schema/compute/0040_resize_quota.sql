-- The other size of a server whose resize is not over: the one that it will have, later the one that it may go back
-- to. Whichever is larger counts against the quota.
alter table compute.server
  add column resize_vcpus integer,
  add column resize_ram_mib integer;

update compute.server
set resize_vcpus = (old_flavor->>'vcpus')::integer, resize_ram_mib = (old_flavor->>'ramMib')::integer
where old_flavor is not null and deleted_at is null;
