import { type PolicyDefault, projectRules } from "../platform/policy/policy.ts"

const admin = "rule:image:context_is_admin"
const projectMember = "role:member and project_id:%(project_id)s"
const projectReader = "role:reader and project_id:%(project_id)s"
const adminOrMember = `${admin} or (${projectMember})`
const adminOrReader = `${admin} or (${projectReader})`
const seesImage =
  "(project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s " +
  "or 'public':%(visibility)s or 'shared':%(visibility)s)"
const readsNamespace = `${admin} or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))`
const readsMember = `${admin} or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)`

const rule = projectRules()

const imageRules = [
  rule("add_image", `${admin} or (${projectMember} and project_id:%(owner)s)`, "Create an image."),
  rule("delete_image", adminOrMember, "Delete an image."),
  rule("get_image", `${admin} or (role:reader and ${seesImage})`, "Show an image."),
  rule("get_images", adminOrReader, "List images."),
  rule("modify_image", adminOrMember, "Change an image."),
  rule("publicize_image", admin, "Make an image public."),
  rule("communitize_image", adminOrMember, "Make an image a community image."),
  rule("download_image", `${admin} or (role:member and ${seesImage})`, "Download the data of an image."),
  rule("upload_image", adminOrMember, "Upload the data of an image."),
  rule("import_as_it_is", admin, "Import images that get no properties from `image.injectProperties`."),
  rule("get_image_location", adminOrReader, "Read where the data of an image are."),
  rule("delete_image_location", admin, "Remove the data of an image from a store."),
  rule("set_image_location", adminOrMember, "Say where the data of an image are."),
  rule(
    "add_image_location",
    `role:service or (${projectMember} and project_id:%(owner)s)`,
    "Make an image of the data at an address.",
  ),
  rule("fetch_image_location", "role:service", "List where the data of an image are."),
  rule("add_member", adminOrMember, "Share an image with a project."),
  rule("delete_member", adminOrMember, "Stop sharing an image with a project."),
  rule("get_member", readsMember, "Show a project that an image is shared with."),
  rule("get_members", readsMember, "List the projects that an image is shared with."),
  rule(
    "modify_member",
    `${admin} or (role:member and project_id:%(member_id)s)`,
    "Accept or reject a shared image.",
  ),
  rule("deactivate", adminOrMember, "Deactivate an image."),
  rule("reactivate", adminOrMember, "Reactivate an image."),
  rule("copy_image", admin, "Copy an image to other stores."),
  rule("manage_image_cache", admin, "Manage the image cache."),
  rule("cache_image", "rule:manage_image_cache", "Have an image brought into the caches of hosts."),
  rule("cache_list", "rule:manage_image_cache", "List the images in the caches of hosts."),
  rule("cache_delete", "rule:manage_image_cache", "Take images out of the caches of hosts, or of the queue."),
  rule(
    "cache_clean",
    "rule:manage_image_cache",
    "Take data that no image has any more out of the caches of hosts.",
  ),
  rule("cache_prune", "rule:manage_image_cache", "Bring the caches of hosts within their limits."),
  rule("list_cached_nodes", "rule:manage_image_cache", "List the hosts whose caches have an image."),
  rule("stores_info_detail", `${admin} or role:service`, "Show details of the stores."),
  rule("tasks_api_access", admin, "Use the tasks API."),
  rule("get_task", "@", "Show a task."),
  rule("get_tasks", "@", "List tasks."),
  rule("add_task", "@", "Create a task."),
]

const metadefRules = [
  rule("get_metadef_namespace", readsNamespace, "Show a metadata namespace."),
  rule("get_metadef_namespaces", adminOrReader, "List metadata namespaces."),
  rule("modify_metadef_namespace", admin, "Change a metadata namespace."),
  rule("add_metadef_namespace", admin, "Create a metadata namespace."),
  rule("delete_metadef_namespace", admin, "Delete a metadata namespace."),
  rule("get_metadef_object", readsNamespace, "Show an object of a metadata namespace."),
  rule("get_metadef_objects", readsNamespace, "List the objects of a metadata namespace."),
  rule("modify_metadef_object", admin, "Change an object of a metadata namespace."),
  rule("add_metadef_object", admin, "Add an object to a metadata namespace."),
  rule("delete_metadef_object", admin, "Remove an object from a metadata namespace."),
  rule("list_metadef_resource_types", readsNamespace, "List the resource types of metadata."),
  rule("get_metadef_resource_type", readsNamespace, "List the resource types of a metadata namespace."),
  rule(
    "add_metadef_resource_type_association",
    admin,
    "Associate a metadata namespace with a resource type.",
  ),
  rule("remove_metadef_resource_type_association", admin, "End the association with a resource type."),
  rule("get_metadef_property", readsNamespace, "Show a property of a metadata namespace."),
  rule("get_metadef_properties", readsNamespace, "List the properties of a metadata namespace."),
  rule("modify_metadef_property", admin, "Change a property of a metadata namespace."),
  rule("add_metadef_property", admin, "Add a property to a metadata namespace."),
  rule("remove_metadef_property", admin, "Remove a property from a metadata namespace."),
  rule("get_metadef_tag", readsNamespace, "Show a tag of a metadata namespace."),
  rule("get_metadef_tags", readsNamespace, "List the tags of a metadata namespace."),
  rule("modify_metadef_tag", admin, "Change a tag of a metadata namespace."),
  rule("add_metadef_tag", admin, "Add a tag to a metadata namespace."),
  rule("add_metadef_tags", admin, "Replace the tags of a metadata namespace."),
  rule("delete_metadef_tag", admin, "Remove a tag from a metadata namespace."),
  rule("delete_metadef_tags", admin, "Remove all tags from a metadata namespace."),
]

const baseRule: PolicyDefault = {
  name: "image:context_is_admin",
  check: "rule:context_is_admin",
  description: "Whom the image service takes for an administrator.",
}

export const policies: readonly PolicyDefault[] = [baseRule, ...imageRules, ...metadefRules]
