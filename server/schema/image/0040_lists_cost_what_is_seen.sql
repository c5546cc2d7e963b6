-- Lists of images read what their viewer sees, in the order of pages, which has no nulls: his own, everybody's, what is
-- shared with him.
drop index image.image_list, image.image_project;
create index image_list on image.image (created_at, id);
create index image_project on image.image (project_id, created_at, id);
create index image_open on image.image (visibility, created_at, id) where visibility in ('public', 'community');
create index image_hash on image.image (os_hash_value) where os_hash_value is not null;
