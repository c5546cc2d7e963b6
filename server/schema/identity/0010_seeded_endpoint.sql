-- The address that a start gave: while it is the endpoint's, the endpoint follows the configuration; another one is an
-- administrator's and stays. Until now every start wrote its own, so what is there is a start's.
alter table identity.endpoint add column seeded_url text;
update identity.endpoint set seeded_url = url;
