-- Where a volume can be made is asked when its server is placed: what it is made from may be another host's by then.
alter table compute.block_device drop column source_host;
