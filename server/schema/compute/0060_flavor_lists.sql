-- Flavors are listed in each of these orders; most callers see the public ones.
create index flavor_public on compute.flavor (flavor_id) where is_public;
create index flavor_ram_mib on compute.flavor (ram_mib, flavor_id);
create index flavor_vcpus on compute.flavor (vcpus, flavor_id);
create index flavor_disk_gib on compute.flavor (disk_gib, flavor_id);
create index flavor_ephemeral_gib on compute.flavor (ephemeral_gib, flavor_id);
create index flavor_swap_mib on compute.flavor (swap_mib, flavor_id);
create index flavor_rxtx_factor on compute.flavor (rxtx_factor, flavor_id);
create index flavor_is_public on compute.flavor (is_public, flavor_id);
create index flavor_is_disabled on compute.flavor (is_disabled, flavor_id);
create index flavor_created on compute.flavor (created_at, flavor_id);
create index flavor_updated on compute.flavor (updated_at nulls first, flavor_id);
