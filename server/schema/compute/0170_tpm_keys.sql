-- What the TPMs of servers are encrypted with, sealed. It goes with the server.
create table compute.tpm_key (
  server_id uuid primary key references compute.server (id) on delete cascade,
  sealed text not null
);
