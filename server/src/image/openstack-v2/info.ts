import { all, count, each, flag, mapFor, one, shape, text, texts } from "../../api/openstack/shape.ts"
import { type Route, route } from "../../platform/http/wire.ts"
import { importMethods, removeFromStore, showImageUsage, showStores, storeId } from "../index.ts"

const methods = shape("ImportMethods", { ...each("description type", text), value: texts })
const members = each("id description default", text)
const placed = shape("StoreProperties", { data_dir: text, chunk_size: count, thin_provisioning: flag })
const detail = { ...members, type: text, weight: count, properties: placed }
const store = { id: storeId, description: "Files of this cloud", default: "true" }

export const infoRoutes: Route[] = [
  route({
    method: "GET",
    path: "/info/import",
    policy: "authenticated",
    told: one("import-methods", methods),
    handler: async () => ({
      "import-methods": { description: "Import methods available.", type: "array", value: importMethods },
    }),
  }),
  route({
    method: "GET",
    path: "/info/stores",
    policy: "authenticated",
    told: all("stores", shape("Store", members)),
    handler: async () => ({ stores: [store] }),
  }),
  route({
    method: "GET",
    path: "/info/stores/detail",
    operation: showStores,
    told: all("stores", shape("StoreDetail", detail)),
    handler: async (ctx) => {
      const { directory, chunkBytes } = await showStores(ctx, {})
      const properties = { data_dir: directory, chunk_size: chunkBytes, thin_provisioning: false }
      return { stores: [{ ...store, type: "file", weight: 0, properties }] }
    },
  }),
  route({
    method: "DELETE",
    path: "/stores/{store_id}/{image_id}",
    operation: removeFromStore,
    handler: (ctx, req) =>
      removeFromStore(ctx, { store: req.params.store_id ?? "", imageId: req.params.image_id ?? "" }),
  }),
  route({
    method: "GET",
    path: "/info/usage",
    operation: showImageUsage,
    told: one("usage", mapFor(shape("UsageAndLimit", each("usage limit", count)))),
    handler: async (ctx) => ({ usage: await showImageUsage(ctx, {}) }),
  }),
]
