-- Who may speak as a host of the cloud. What a host has and runs is compute's.
create schema if not exists host;

-- A token lets one host join, once.
create table host.join_token (
  id uuid primary key,
  -- sha256; the token itself is shown once and kept nowhere
  secret_hash bytea not null unique,
  -- null: under whatever name the host says
  host_name text,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz,
  -- sha256 of the public key that used it: the same host may ask again when the answer was lost
  used_by_key bytea
);
create index join_token_expires_at on host.join_token (expires_at);

create table host.member (
  id uuid primary key,
  name text not null,
  -- where other hosts reach it
  address text not null,
  -- sha256 of its public key
  public_key_hash bytea not null,
  -- sha256 of its certificate, hex; of the one before as well, until the host has taken the new one
  fingerprint text not null unique,
  previous_fingerprint text unique,
  certificate_expires_at timestamptz not null,
  joined_at timestamptz not null default now(),
  removed_at timestamptz
);
create unique index member_name on host.member (name) where removed_at is null;
