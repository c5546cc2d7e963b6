// What tools that read OpenAPI rely on, in the document of every wire.
import assert from "node:assert/strict"
import { test } from "node:test"
import { Validator } from "@seriousme/openapi-schema-validator"
import { openApiDocuments } from "../server/src/api/openstack/openapi.ts"
import { apisOf } from "../server/src/engine/service.ts"
import { services } from "../server/src/services.ts"

type Json = Record<string, unknown>

const documents = Object.entries(openApiDocuments(apisOf(services)))

/** Those that tell all their answers. */
const wholes = new Set(["compute", "compute-v2", "identity", "identity-v2", "placement"])
/** Commands to hosts that nothing here obeys, and what there is none of. */
const neverAnswered =
  /\/os-hosts\/\{host_name\}\/(startup|shutdown|reboot)$|\/os-baremetal-nodes(\/\{node_id\})?$|\/\{migration_id\}$/

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null
}

function valuesOf(value: unknown, key: string): unknown[] {
  if (!isJson(value)) return []
  return Object.entries(value).flatMap(([k, v]) => [...(k === key ? [v] : []), ...valuesOf(v, key)])
}

function at(document: Json, reference: string): unknown {
  const names = reference.split("/").slice(1)
  return names.reduce<unknown>((place, name) => (isJson(place) ? place[name] : undefined), document)
}

for (const [name, document] of documents) {
  const paths = Object.keys(document.paths as Json)

  test(`OpenAPI of ${name}: it is what the standard says`, async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document))
    assert.ok(valid, JSON.stringify(errors, null, 2)?.slice(0, 4000))
  })

  test(`OpenAPI of ${name}: every reference leads somewhere`, () => {
    const lost = valuesOf(document, "$ref").filter((to) => at(document, String(to)) === undefined)
    assert.deepEqual(lost, [])
  })

  test(`OpenAPI of ${name}: every component is used`, () => {
    const used = new Set(valuesOf(document, "$ref"))
    const { schemas, parameters, responses } = document.components as Record<string, Json>
    const unused = Object.entries({ schemas, parameters, responses }).flatMap(([kind, there]) =>
      Object.keys(there ?? {}).filter((key) => !used.has(`#/components/${kind}/${key}`)),
    )
    assert.deepEqual(unused, [])
  })

  test(`OpenAPI of ${name}: an operationId is there once`, () => {
    const ids = valuesOf(document.paths, "operationId").map(String)
    assert.deepEqual(
      ids.filter((id, i) => ids.indexOf(id) !== i),
      [],
    )
  })

  test(`OpenAPI of ${name}: a parameter is there once`, () => {
    const whole = (parameter: Json) =>
      parameter.$ref ? (at(document, String(parameter.$ref)) as Json) : parameter
    for (const [path, item] of Object.entries(document.paths as Record<string, Json>)) {
      const own = (item.parameters ?? []) as Json[]
      for (const [method, operation] of Object.entries(item)) {
        const more = (
          isJson(operation) && !Array.isArray(operation) ? (operation.parameters ?? []) : []
        ) as Json[]
        const names = [...own, ...more].map(whole).map(({ in: where, name }) => `${where} ${name}`)
        assert.deepEqual(names, [...new Set(names)], `${method} ${path}`)
      }
    }
  })

  test(`OpenAPI of ${name}: no two paths differ only by the names of their parameters`, () => {
    const plain = paths.map((path) => path.replaceAll(/\{\w+\}/g, "{}"))
    assert.deepEqual(
      paths.filter((_path, i) => plain.indexOf(plain[i] ?? "") !== i),
      [],
    )
  })

  if (wholes.has(name))
    test(`OpenAPI of ${name}: what is read tells its answer`, () => {
      const silent = Object.entries(document.paths as Record<string, { get?: Json }>).flatMap(
        ([path, item]) => {
          const { 200: answer } = (item.get?.responses ?? {}) as { 200?: Json }
          return answer && !answer.content && !neverAnswered.test(path) ? [path] : []
        },
      )
      assert.deepEqual(silent, [])
    })

  test(`OpenAPI of ${name}: a path declares its parameters`, () => {
    for (const path of paths) {
      const { parameters = [] } = at(document, "#/paths") ? ((document.paths as Json)[path] as Json) : {}
      const declared = (parameters as Json[])
        .map((parameter) => (parameter.$ref ? (at(document, String(parameter.$ref)) as Json) : parameter))
        .flatMap((parameter) => (parameter.in === "path" ? [parameter.name] : []))
      assert.deepEqual(
        declared,
        [...path.matchAll(/\{([^}]+)\}/g)].map(([, parameter]) => parameter),
        path,
      )
    }
  })
}
