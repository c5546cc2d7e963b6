-- What binds a port to a server. Only the network/server-port verbs write it; device_id and device_owner are text that
-- whoever may change the port may write, and nothing believes them.
alter table network.port add column server_id uuid;

-- device_id could be rewritten at any time, also on a port that a server has: an interface's index proves that our verbs
-- bound the port once, not that they bound it to the server that device_id names now. So the server is asked: it must
-- be there and of the port's own project. This is the one look across services that there is; a port that stays
-- without a server keeps its text, and whoever owns it attaches it again.
do $$
begin
  if to_regclass('compute.server') is not null then
    update network.port p set server_id = s.id from compute.server s
      where s.id::text = p.device_id and s.deleted_at is null and s.project_id = p.project_id
        and p.device_owner like 'compute:%' and p.server_interface_index is not null;
  end if;
end $$;
update network.port set server_interface_index = null, server_interface_tag = null
  where server_id is null and (server_interface_index is not null or server_interface_tag is not null);

drop index network.port_of_server_interface;
-- That it is not null follows from every comparison, so prepared statements can use the index.
create unique index port_of_server_interface on network.port (server_id, server_interface_index)
  where server_id is not null;
alter table network.port add constraint port_bound_with_index
  check ((server_id is null) = (server_interface_index is null));

-- These owners mean something to the engine: they are ours to write. What was posed as one becomes an ordinary port.
update network.port p set device_owner = '', device_id = ''
  where project_id <> '' and (device_owner in ('network:router_gateway', 'network:floatingip')
    or (device_owner = 'network:router_interface'
      and not exists (select from network.router_interface i where i.port_id = p.id)));
