-- How fast volumes may be: named sets of keys, which administrators give to volume types.
create table block_storage.qos_specs (
  id uuid primary key,
  name text not null constraint qos_specs_name_key unique,
  -- Who keeps to it: the machine that has the volume, the back end, or both.
  consumer text not null default 'back-end' check (consumer in ('front-end', 'back-end', 'both')),
  specs jsonb not null default '{}',
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3)
);
create index qos_specs_by_time on block_storage.qos_specs (created_at, id);

alter table block_storage.volume_type add column qos_specs_id uuid references block_storage.qos_specs (id);
create index volume_type_of_qos_specs on block_storage.volume_type (qos_specs_id, created_at, id);

-- What the machine is held to, as the type's specs said when the volume was given to it; null: nothing.
alter table block_storage.attachment add column io_limits jsonb;
