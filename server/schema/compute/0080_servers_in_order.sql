-- Servers of a host, an image, a flavor come in the order of lists, so that a page of them is read and no more: by the
-- column alone PostgreSQL rather walked through all servers until it had found a page.
drop index compute.server_host, compute.server_image, compute.server_flavor;
create index server_host on compute.server (host, created_at desc, id desc) where deleted_at is null;
create index server_image on compute.server (image_id, created_at desc, id desc) where deleted_at is null;
create index server_flavor on compute.server (flavor_id, created_at desc, id desc) where deleted_at is null;
