-- Tunnels of the other hosts go to a host's address: it has it alone. Loopback is no such address.
alter table host.join_token
  -- null: the one that the host comes from
  add column address text;
create unique index member_address on host.member (address)
  where removed_at is null and address !~ '^127\.' and address <> '::1';
