// Finds sets of providers that together give what was asked for. Pure: the world and the question in, answers out.
//
// An answer lies in one tree (its anchor), plus sharing providers: those with MISC_SHARES_VIA_AGGREGATE serve every
// tree that has a provider in one of their aggregates. The group without a suffix may take each resource class from
// another provider of the tree; a group with a suffix takes all from one.
import type { Node, World } from "./world.ts"

export interface Group {
  /** Empty for the group that may be spread. */
  suffix: string
  resources: Readonly<Record<string, number>>
  /** One of each list. */
  requiredTraits: readonly (readonly string[])[]
  forbiddenTraits: readonly string[]
  memberOf: readonly (readonly string[])[]
  notMemberOf: readonly string[]
  /** In the tree of this provider. */
  inTreeOf: string | null
}

export interface Question {
  groups: readonly Group[]
  isIsolated: boolean
  rootRequired: readonly string[]
  rootForbidden: readonly string[]
  /** Suffixes of groups whose providers must lie under one of them. */
  sameSubtrees: readonly (readonly string[])[]
  /** False: at the most one provider of a tree, as before microversion 1.29. */
  knowsTrees: boolean
  limit: number | null
}

export interface Candidate {
  /** Provider → class → amount. */
  allocations: Map<string, Map<string, number>>
  /** Suffix → providers. */
  mappings: Map<string, Set<string>>
}

export interface Answer {
  candidates: Candidate[]
  /** All providers of the trees that the candidates are in. */
  providers: Node[]
}

export const sharesTrait = "MISC_SHARES_VIA_AGGREGATE"
/** Answers at the most: every further one would be a variation of these. */
const candidatesMost = 10_000

/** One group's part of an answer. */
interface Part {
  suffix: string
  picks: readonly { node: Node; resourceClass: string; amount: number }[]
  providers: ReadonlySet<string>
}

interface Search {
  world: World
  question: Question
  sharing: readonly Node[]
  /** Sharing provider → roots of the trees that it serves. */
  anchorsOf: ReadonlyMap<string, ReadonlySet<string>>
  hasTrees: boolean
}

export function solve(world: World, question: Question): Answer {
  const sharing = [...world.values()].filter((node) => node.traits.has(sharesTrait))
  const search: Search = {
    world,
    question,
    sharing,
    anchorsOf: new Map(sharing.map((node) => [node.id, findAnchors(world, node)])),
    hasTrees: [...world.values()].some((node) => node.parentId !== null),
  }
  const byAnchor = new Map<string, Part[][]>()
  for (const [index, group] of question.groups.entries()) {
    for (const [anchor, parts] of partsOf(search, group)) {
      const lists = byAnchor.get(anchor) ?? []
      // An anchor that failed an earlier group has a hole, and no answer.
      if (lists.length === index) byAnchor.set(anchor, [...lists, parts])
    }
  }
  const candidates = combine(search, byAnchor)
  const kept = question.limit === null ? candidates : candidates.slice(0, question.limit)
  return { candidates: kept, providers: summarised(search, kept) }
}

function findAnchors(world: World, sharing: Node): Set<string> {
  const anchors = new Set([sharing.rootId])
  for (const node of world.values())
    if ([...node.aggregates].some((id) => sharing.aggregates.has(id))) anchors.add(node.rootId)
  return anchors
}

function mayAnchor({ world, question }: Search, rootId: string): boolean {
  const root = world.get(rootId)
  return (
    root !== undefined &&
    question.rootRequired.every((trait) => root.traits.has(trait)) &&
    !question.rootForbidden.some((trait) => root.traits.has(trait))
  )
}

function partsOf(search: Search, group: Group): Map<string, Part[]> {
  const isSpread = group.suffix === "" && (search.sharing.length > 0 || search.hasTrees)
  return isSpread ? spreadParts(search, group) : singleParts(search, group)
}

function treeOf({ world }: Search, group: Group): string | null | undefined {
  return group.inTreeOf === null ? null : world.get(group.inTreeOf)?.rootId
}

function hasRoom(node: Node, resourceClass: string, amount: number): boolean {
  const room = node.rooms.get(resourceClass)
  return (
    room !== undefined &&
    room.used + amount <= room.capacity &&
    amount >= room.minUnit &&
    amount <= room.maxUnit &&
    amount % room.stepSize === 0
  )
}

const isMember = (node: Node, aggregates: readonly string[]) =>
  aggregates.some((id) => node.aggregates.has(id))

/** All from one provider. */
function singleParts(search: Search, group: Group): Map<string, Part[]> {
  const parts = new Map<string, Part[]>()
  const treeId = treeOf(search, group)
  if (treeId === undefined) return parts
  for (const node of search.world.values()) {
    const fits =
      (treeId === null || node.rootId === treeId) &&
      Object.entries(group.resources).every(([name, amount]) => hasRoom(node, name, amount)) &&
      group.requiredTraits.every((any) => any.some((trait) => node.traits.has(trait))) &&
      !group.forbiddenTraits.some((trait) => node.traits.has(trait)) &&
      group.memberOf.every((any) => isMember(node, any)) &&
      !isMember(node, group.notMemberOf)
    if (!fits) continue
    const picks = Object.entries(group.resources).map(([resourceClass, amount]) => ({
      node,
      resourceClass,
      amount,
    }))
    const part: Part = { suffix: group.suffix, picks, providers: new Set([node.id]) }
    for (const anchor of search.anchorsOf.get(node.id) ?? [node.rootId])
      if (mayAnchor(search, anchor)) parts.set(anchor, [...(parts.get(anchor) ?? []), part])
  }
  return parts
}

/** Each class from any provider of a tree or one that shares with it. */
function spreadParts(search: Search, group: Group): Map<string, Part[]> {
  const treeId = treeOf(search, group)
  if (treeId === undefined) return new Map()
  const wanted = Object.entries(group.resources).sort(([a], [b]) => (a < b ? -1 : 1))
  /** Anchor → for each class those that have it. */
  let byAnchor: Map<string, Node[][]> | undefined
  for (const [resourceClass, amount] of wanted) {
    const found = new Map<string, Node[]>()
    for (const node of search.world.values()) {
      if (!hasRoom(node, resourceClass, amount)) continue
      for (const anchor of spreadAnchors(search, group, node, treeId))
        found.set(anchor, [...(found.get(anchor) ?? []), node])
    }
    const previous = byAnchor
    byAnchor = new Map(
      [...found]
        .filter(([anchor]) => previous === undefined || previous.has(anchor))
        .map(([anchor, nodes]) => [anchor, [...(previous?.get(anchor) ?? []), nodes]]),
    )
  }
  const parts = new Map<string, Part[]>()
  for (const [anchor, lists] of byAnchor ?? []) {
    const list: Part[] = []
    for (const nodes of product(lists)) {
      if (!haveTraits(nodes, group)) continue
      const picks = nodes.map((node, i) => ({
        node,
        resourceClass: wanted[i]?.[0] ?? "",
        amount: wanted[i]?.[1] ?? 0,
      }))
      list.push({ suffix: group.suffix, picks, providers: new Set(nodes.map((node) => node.id)) })
      if (list.length >= candidatesMost) break
    }
    if (list.length > 0) parts.set(anchor, list)
  }
  return parts
}

function spreadAnchors(search: Search, group: Group, node: Node, treeId: string | null): string[] {
  if (treeId !== null && node.rootId !== treeId) return []
  const sharesIn = search.anchorsOf.get(node.id)
  // A sharing provider must be in the aggregates itself; and it may not leave a tree that was named.
  const mayShare =
    sharesIn !== undefined && treeId === null && group.memberOf.every((any) => isMember(node, any))
  const anchors = mayShare ? [...sharesIn] : [node.rootId]
  return anchors.filter((anchor) => {
    const root = search.world.get(anchor)
    if (!root || !mayAnchor(search, anchor)) return false
    // An aggregate of the root spans its tree.
    const isIn =
      group.memberOf.every((any) => isMember(node, any)) || group.memberOf.every((any) => isMember(root, any))
    return isIn && !isMember(node, group.notMemberOf) && !isMember(root, group.notMemberOf)
  })
}

/** Together they have what is required; none has what is forbidden. */
function haveTraits(nodes: readonly Node[], group: Group): boolean {
  return (
    !nodes.some((node) => group.forbiddenTraits.some((trait) => node.traits.has(trait))) &&
    group.requiredTraits.every((any) => any.some((trait) => nodes.some((node) => node.traits.has(trait))))
  )
}

function* product<T>(lists: readonly (readonly T[])[], at = 0): Generator<T[]> {
  const list = lists[at]
  if (!list) {
    yield []
    return
  }
  for (const first of list) for (const rest of product(lists, at + 1)) yield [first, ...rest]
}

function combine(search: Search, byAnchor: ReadonlyMap<string, Part[][]>): Candidate[] {
  const { question } = search
  // Without trees and what they share each anchor has an answer of its own.
  const mayRepeat = search.hasTrees || search.sharing.length > 0
  const candidates = new Map<string | number, Candidate>()
  for (const lists of byAnchor.values()) {
    if (lists.length !== question.groups.length) continue
    for (const parts of product(lists)) {
      if (question.isIsolated && !areIsolated(parts)) continue
      if (!areInSubtrees(search, parts)) continue
      const candidate = merge(search, parts)
      if (!candidate) continue
      if (!question.knowsTrees && usesTreeTwice(search, candidate)) continue
      candidates.set(mayRepeat ? keyOf(candidate) : candidates.size, candidate)
      if (candidates.size >= candidatesMost) return [...candidates.values()]
    }
  }
  return [...candidates.values()]
}

function areIsolated(parts: readonly Part[]): boolean {
  const single = parts.filter((part) => part.suffix !== "")
  return new Set(single.flatMap((part) => [...part.providers])).size === single.length
}

function areInSubtrees({ world, question }: Search, parts: readonly Part[]): boolean {
  return question.sameSubtrees.every((suffixes) => {
    const ids = new Set(parts.filter((p) => suffixes.includes(p.suffix)).flatMap((p) => [...p.providers]))
    if (ids.size <= 1) return true
    // One of them is above (or is) each of them.
    return [...ids].some((id) => [...ids].every((other) => isAbove(world, id, other)))
  })
}

function isAbove(world: World, id: string, other: string): boolean {
  for (let at: string | null = other; at !== null; at = world.get(at)?.parentId ?? null)
    if (at === id) return true
  return false
}

/** Null when the groups together take more than there is. */
function merge({ world }: Search, parts: readonly Part[]): Candidate | null {
  const allocations = new Map<string, Map<string, number>>()
  const mappings = new Map<string, Set<string>>()
  for (const part of parts) {
    mappings.set(part.suffix, new Set(part.providers))
    for (const { node, resourceClass, amount } of part.picks) {
      const resources = allocations.get(node.id) ?? new Map<string, number>()
      resources.set(resourceClass, (resources.get(resourceClass) ?? 0) + amount)
      allocations.set(node.id, resources)
    }
  }
  for (const [id, resources] of allocations) {
    for (const [resourceClass, amount] of resources) {
      const room = world.get(id)?.rooms.get(resourceClass)
      if (!room || room.used + amount > room.capacity || amount > room.maxUnit) return null
    }
  }
  return { allocations, mappings }
}

function usesTreeTwice({ world }: Search, candidate: Candidate): boolean {
  const roots = [...candidate.allocations.keys()].map((id) => world.get(id)?.rootId)
  return new Set(roots).size !== roots.length
}

function keyOf(candidate: Candidate): string {
  const allocations = [...candidate.allocations]
    .map(([id, resources]) => `${id}:${[...resources].map(([k, n]) => `${k}=${n}`).sort()}`)
    .sort()
  const mappings = [...candidate.mappings].map(([suffix, ids]) => `${suffix}:${[...ids].sort()}`).sort()
  return `${allocations.join(";")}|${mappings.join(";")}`
}

function summarised({ world, question }: Search, candidates: readonly Candidate[]): Node[] {
  const used = new Set(candidates.flatMap((c) => [...c.allocations.keys()]))
  if (!question.knowsTrees) return [...used].flatMap((id) => world.get(id) ?? [])
  const roots = new Set([...used].map((id) => world.get(id)?.rootId))
  return [...world.values()].filter((node) => roots.has(node.rootId))
}
