-- In the order of pages, which has no nulls; a namespace is named by its name.
drop index image.task_list, image.task_project, image.metadef_namespace_list, image.metadef_namespace_project;
create index task_list on image.task (created_at, id);
create index task_project on image.task (project_id, created_at, id);
create index metadef_namespace_list on image.metadef_namespace (created_at, name);
create index metadef_namespace_project on image.metadef_namespace (project_id, created_at, name);
create index metadef_namespace_public on image.metadef_namespace (created_at, name) where visibility = 'public';
