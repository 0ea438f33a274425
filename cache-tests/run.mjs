// Runs the public suite of cache tests (https://cache-tests.fyi) against `cachectl serve`.
//
//   node cache-tests/run.mjs --mode private|shared [--update] [--id TEST] [--out FILE] [--proxy BINARY] [--targeted]
//
// The suite is the checkout named by CACHE_TESTS_DIR, or else `http-cache-tests` from the npm registry, pinned below.
// With --targeted the proxy obeys CDN-Cache-Control, and the tests of it are run too; nothing is compared then.
// A test that is in the committed list of those that pass, and does not pass, fails the run.
// A test whose dependency failed is not judged, which counts as not passed.

import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const NPM_VERSION = '0.4.5'
const here = path.dirname(fileURLToPath(import.meta.url))
const { values: args } = parseArgs({
  options: {
    mode: { type: 'string' },
    update: { type: 'boolean', default: false },
    id: { type: 'string' },
    out: { type: 'string' },
    proxy: { type: 'string' },
    targeted: { type: 'boolean', default: false }
  }
})
if (args.mode !== 'private' && args.mode !== 'shared') {
  fail('--mode private or --mode shared')
}

function fail (message) {
  console.error(message)
  process.exit(2)
}

function suiteDirectory () {
  if (process.env.CACHE_TESTS_DIR) {
    return { directory: path.resolve(process.env.CACHE_TESTS_DIR), name: 'checkout' }
  }
  const prefix = path.join(os.tmpdir(), `http-cache-tests-${NPM_VERSION}`)
  const directory = path.join(prefix, 'node_modules', 'http-cache-tests')
  if (!fs.existsSync(directory)) {
    fs.mkdirSync(prefix, { recursive: true })
    const npm = ['install', '--silent', '--no-audit', '--no-fund', '--prefix', prefix, `http-cache-tests@${NPM_VERSION}`]
    if (spawnSync('npm', npm, { stdio: 'inherit' }).status !== 0) fail('npm could not install the suite')
  }
  return { directory, name: `npm-${NPM_VERSION}` }
}

async function freePort () {
  const server = net.createServer()
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  return port
}

async function accepting (port, what) {
  for (let tries = 0; tries < 600; tries++) {
    const open = await new Promise(resolve => {
      const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true) })
      socket.on('error', () => resolve(false))
    })
    if (open) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  fail(`${what} does not accept connections`)
}

const children = []
function start (command, commandArgs, options = {}) {
  const child = spawn(command, commandArgs, { stdio: ['ignore', 'ignore', 'inherit'], ...options })
  children.push(child)
  return child
}
process.on('exit', () => children.forEach(child => child.kill()))

function proxyBinary () {
  const build = ['build', '-p', 'cachectl', '--message-format', 'json']
  const cargo = spawnSync('cargo', build, { stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28, cwd: here })
  if (cargo.status !== 0) fail('the proxy does not build')
  const artifacts = cargo.stdout.toString().split('\n').filter(Boolean).map(line => JSON.parse(line))
  return artifacts.find(artifact => artifact.executable && artifact.target.name === 'cachectl').executable
}

function inapplicable (test) {
  const rules = JSON.parse(fs.readFileSync(path.join(here, 'inapplicable.json')))
  for (const [pattern, reason] of Object.entries(rules)) {
    const [mode, glob] = pattern.includes(':') ? pattern.split(':', 2) : [args.mode, pattern]
    const matches = glob.endsWith('*') ? test.id.startsWith(glob.slice(0, -1)) : test.id === glob
    if (mode === args.mode && matches) return reason
  }
}


const { directory, name: suiteName } = suiteDirectory()
// The release on npm is older, and keeps its engine beside the tests.
const engine = fs.existsSync(path.join(directory, 'test-engine')) ? 'test-engine' : '.'
const load = file => import(pathToFileURL(path.join(directory, file)))
const all = (await load('tests/index.mjs')).default
const { runTests, getResults } = await load(`${engine}/client/runner.mjs`)

const left = []
const suites = all.map(suite => ({
  ...suite,
  tests: suite.tests.flatMap(test => {
    const reason = args.targeted && test.cdn_only ? undefined : inapplicable(test)
    if (reason) left.push({ id: test.id, reason })
    if (reason || (args.id && args.id !== test.id)) return []
    // What is said of private caches is run as a browser would.
    return [{ ...test, browser_only: false, dump: Boolean(args.id) }]
  })
}))

const origin = await freePort()
const proxy = await freePort()
const binary = args.proxy ?? proxyBinary()
const env = { ...process.env, npm_config_protocol: 'http', npm_config_port: String(origin), npm_config_pidfile: path.join(os.tmpdir(), `cache-tests-${origin}.pid`) }
start('node', ['--no-warnings', '--import', pathToFileURL(path.join(here, 'loopback.mjs')).href, `${engine}/server/server.mjs`], { cwd: directory, env })
await accepting(origin, 'the suite\'s origin')
start(binary, ['serve', '--listen', `127.0.0.1:${proxy}`, '--upstream', `http://127.0.0.1:${origin}`, '--mode', args.mode, '--storage', 'memory://', '--stale-if-error', '86400', ...(args.targeted ? ['--targeted'] : [])])
await accepting(proxy, 'the proxy')

const log = console.log
console.log = args.id ? console.error : () => {}
const base = `http://127.0.0.1:${proxy}`
if (runTests.length > 3) {
  // The older engine is handed what to fetch with; the fetch of Node sets cache fields of its own.
  const file = createRequire(path.join(directory, 'package.json')).resolve('node-fetch')
  const { default: fetch } = await import(pathToFileURL(file))
  await runTests(suites, fetch, false, base)
} else {
  await runTests(suites, false, base)
}
console.log = log
const raw = getResults()

const tests = new Map(all.flatMap(suite => suite.tests).map(test => [test.id, test]))
function verdict (id) {
  const dependencies = tests.get(id)?.depends_on ?? []
  if (raw[id] === undefined) return 'not run'
  if (dependencies.some(dependency => verdict(dependency) !== 'passed')) return 'not judged'
  return raw[id] === true ? 'passed' : 'failed'
}

const kinds = ['required', 'optimal', 'check']
const results = { suite: suiteName, mode: args.mode, totals: {}, groups: {}, notPassed: {}, inapplicable: left, passed: [] }
for (const suite of suites) {
  for (const test of suite.tests) {
    const kind = test.kind ?? 'required'
    const outcome = verdict(test.id)
    for (const counts of [results.totals, results.groups[suite.id] ??= {}]) {
      const count = counts[kind] ??= { passed: 0, of: 0 }
      count.of++
      if (outcome === 'passed') count.passed++
    }
    if (outcome === 'passed') results.passed.push(test.id)
    else if (kind !== 'check') results.notPassed[test.id] = { kind, outcome, why: Array.isArray(raw[test.id]) ? raw[test.id][1] : undefined }
  }
}
results.passed.sort()

const cell = count => (count ? `${count.passed}/${count.of}` : '').padStart(9)
console.log(`${'group'.padEnd(20)}${kinds.map(kind => kind.padStart(9)).join(' ')}`)
for (const [group, counts] of [...Object.entries(results.groups), ['all', results.totals]]) {
  console.log(`${group.padEnd(20)}${kinds.map(kind => cell(counts[kind])).join(' ')}`)
}
for (const [id, { kind, outcome, why }] of Object.entries(results.notPassed)) {
  console.log(`${kind} ${id}: ${outcome}${why ? ` (${why})` : ''}`)
}
console.log(`inapplicable: ${left.length}`)
if (args.out) fs.writeFileSync(args.out, JSON.stringify(results, null, 2) + '\n')

const expectedFile = path.join(here, 'expected', `${suiteName}-${args.mode}.json`)
if (args.update) {
  fs.mkdirSync(path.dirname(expectedFile), { recursive: true })
  fs.writeFileSync(expectedFile, JSON.stringify({ totals: results.totals, passed: results.passed }, null, 1) + '\n')
} else if (!args.id && !args.targeted) {
  const expected = JSON.parse(fs.readFileSync(expectedFile)).passed
  const lost = expected.filter(id => !results.passed.includes(id) && (tests.get(id)?.kind ?? 'required') !== 'check')
  if (lost.length > 0) {
    console.error(`passed before, and not now: ${lost.join(', ')}`)
    process.exit(1)
  }
}
process.exit(0)
