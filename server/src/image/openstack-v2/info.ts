import { all, count, each, mapFor, one, rare, shape, text, texts } from "../../api/openstack/shape.ts"
import { type Route, route } from "../../platform/http/wire.ts"
import { anyObject } from "../../platform/schema/make.ts"
import {
  importMethods,
  listStores,
  removeFromStore,
  type StoreFacts,
  showImageUsage,
  showStores,
} from "../index.ts"

const methods = shape("ImportMethods", { ...each("description type", text), value: texts })
const members = {
  ...each("id description", text),
  default: rare(text),
  "read-only": rare(text),
  weight: rare(count),
}
const detail = { ...members, type: text, weight: count, properties: anyObject }

/** Glance says a yes as a text, and a no by silence. */
function viewStore({ store, isDefault }: StoreFacts) {
  return {
    id: store.id,
    description: store.description,
    weight: store.weight,
    ...(isDefault ? { default: "true" } : {}),
    ...(store.type === "http" ? { "read-only": "true" } : {}),
  }
}

/** Bytes that are read from a file at one time. */
const chunkBytes = 262_144

function viewStoreDetail(facts: StoreFacts) {
  const { store } = facts
  const properties =
    store.type === "file" ? { data_dir: store.root, chunk_size: chunkBytes, thin_provisioning: false } : {}
  return { ...viewStore(facts), type: store.type, properties }
}

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
    operation: listStores,
    told: all("stores", shape("Store", members)),
    handler: async (ctx) => ({ stores: (await listStores(ctx, {})).map(viewStore) }),
  }),
  route({
    method: "GET",
    path: "/info/stores/detail",
    operation: showStores,
    told: all("stores", shape("StoreDetail", detail)),
    handler: async (ctx) => ({ stores: (await showStores(ctx, {})).map(viewStoreDetail) }),
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
