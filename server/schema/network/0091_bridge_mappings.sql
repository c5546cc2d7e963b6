-- Which physical networks a host reaches, and by which of its bridges: {"public": "br-ex"}. Null: it did not say, or its
-- network is simulated.
alter table network.agent add column bridge_mappings jsonb;
