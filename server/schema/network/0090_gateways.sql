-- What was said of hosts that may carry the routers' gateways. The cloud's first host carries them where nothing is said.
create table network.gateway (
  host text primary key,
  -- the highest carries, equal ones share; null: it is none
  priority int
);
-- follows from these rows
alter table network.agent drop column is_gateway;
