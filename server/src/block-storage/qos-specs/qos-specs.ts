// QoS specs: how fast volumes may be, as named sets of keys that administrators give to volume types.
import { sql } from "kysely"
import { Type } from "typebox"
import { nullable, structure, text, time, uuid, word } from "../../platform/noun/field.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { qosSpecsNotFound } from "../faults.ts"

export const qosConsumers = ["front-end", "back-end", "both"] as const
export type QosConsumer = (typeof qosConsumers)[number]

const at = (column: string) => sql`${sql.ref(`qos_specs.${column}`)}`

export const qosSpecsNoun = noun({
  name: "block_storage.qos_specs",
  table: sql`block_storage.qos_specs`,
  alias: "qos_specs",
  fields: {
    id: uuid(at("id"), { filter: true, sort: true }),
    name: text(at("name"), {
      create: "required",
      filter: true,
      sort: true,
      input: Type.String({ minLength: 1, maxLength: 255 }),
    }),
    consumer: word(qosConsumers, at("consumer"), { filter: true }),
    specs: structure(Type.Record(Type.String(), Type.String()), at("specs")),
    createdAt: time(at("created_at"), { sort: true }),
    updatedAt: nullable(time(at("updated_at"), { internal: true })),
  },
  order: [
    { key: "createdAt", direction: "desc" },
    { key: "id", direction: "desc" },
  ],
  /** The rules let only administrators ask. */
  visible: () => visibleToAll,
  notFound: qosSpecsNotFound,
})

export type QosSpecs = Thing<typeof qosSpecsNoun>
