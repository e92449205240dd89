// kafkajs against a broker: admin, producer, and its consumer, which is always in a group; every codec.
//
//     node suite.js BOOTSTRAP CORPUS

const fs = require('fs')
const { Kafka, CompressionTypes, CompressionCodecs, logLevel, ConfigResourceTypes } = require('kafkajs')
const lz4 = require('lz4-napi')
const { ZstdCodec } = require('zstd-codec')

const LIMIT = 4 << 20
const [bootstrap, corpusFile] = process.argv.slice(2)

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
})

function raw(s) {
  return s === null ? null : Buffer.from(s, 'base64')
}

// kafkajs keeps headers by name, in an object; a list of values repeats the name. Records marked
// wide cannot be sent that way and are left to other clients.
function load() {
  const lines = fs.readFileSync(corpusFile, 'utf8').trim().split('\n')
  return lines.map((l) => JSON.parse(l)).filter((r) => !r.wide).map((r) => {
    const headers = {}
    for (const [name, value] of r.headers) {
      headers[name] = name in headers ? [].concat(headers[name], [raw(value)]) : raw(value)
    }
    return { key: raw(r.key), value: raw(r.value), headers, partition: 0 }
  })
}

function check(ok, what) {
  if (!ok) {
    console.error('kafkajs: ' + what)
    process.exit(1)
  }
  console.log('ok:', what)
}

async function wait(ready, what) {
  for (const deadline = Date.now() + 20000; !(await ready());) {
    check(Date.now() < deadline, 'never: ' + what)
    await new Promise((done) => setTimeout(done, 100))
  }
  console.log('ok:', what)
}

async function adminScenario(admin) {
  const topics = [{ topic: 'js-admin', numPartitions: 3, replicationFactor: 1 }]
  check(await admin.createTopics({ topics }), 'a topic is created')
  check(!(await admin.createTopics({ topics })), 'a second creation is refused')
  await wait(async () => (await admin.listTopics()).includes('js-admin'), 'listTopics has it')
  await admin.createPartitions({ topicPartitions: [{ topic: 'js-admin', count: 5 }] })
  await wait(async () => {
    const meta = await admin.fetchTopicMetadata({ topics: ['js-admin'] })
    return meta.topics[0].partitions.length === 5
  }, 'metadata shows 5 partitions')
  const resources = [{
    type: ConfigResourceTypes.TOPIC, name: 'js-admin',
    configEntries: [{ name: 'retention.ms', value: '3600000' }],
  }]
  await admin.alterConfigs({ resources, validateOnly: false })
  await wait(async () => {
    const got = await admin.describeConfigs({
      resources: [{ type: ConfigResourceTypes.TOPIC, name: 'js-admin', configNames: ['retention.ms'] }],
      includeSynonyms: false,
    })
    return got.resources[0].configEntries[0].configValue === '3600000'
  }, 'describeConfigs shows what alterConfigs set')
  const cluster = await admin.describeCluster()
  check(cluster.brokers.length === 1 && cluster.clusterId, 'describeCluster shows one broker')
  await admin.deleteTopics({ topics: ['js-admin'] })
  await wait(async () => !(await admin.listTopics()).includes('js-admin'), 'the topic is deleted')
}

async function produce(kafka, admin, topic, compression, messages, options) {
  await admin.createTopics({
    topics: [{
      topic, numPartitions: 1, replicationFactor: 1,
      configEntries: [{ name: 'max.message.bytes', value: String(LIMIT) }],
    }],
  })
  const producer = kafka.producer(options)
  await producer.connect()
  for (let i = 0; i < messages.length; i += 100) {
    await producer.send({ topic, compression, acks: -1, messages: messages.slice(i, i + 100) })
  }
  await producer.disconnect()
  const [end] = await admin.fetchTopicOffsets(topic)
  check(Number(end.high) === messages.length && end.low === '0', `${topic} ends at ${messages.length}`)
}

function headersOf(message) {
  const out = []
  for (const [name, values] of Object.entries(message.headers || {})) {
    for (const v of [].concat(values)) out.push([name, v.toString('base64')])
  }
  return out
}

function same(want, got) {
  const bytes = (b) => (b === null ? null : b.toString('base64'))
  return bytes(want.key) === bytes(got.key) && bytes(want.value) === bytes(got.value) &&
    JSON.stringify(headersOf(want)) === JSON.stringify(headersOf(got))
}

// verify reads a topic in a group of one, and commits; then the group has the topic's end.
async function verify(kafka, admin, topic, messages) {
  const groupId = `reads-${topic}`
  const consumer = kafka.consumer({ groupId, maxBytesPerPartition: LIMIT, maxWaitTimeInMs: 50 })
  const got = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => { got.push(message) } })
  await wait(async () => got.length >= messages.length, `${topic}: all is delivered in a group`)
  await consumer.disconnect()
  const differs = messages.findIndex((m, i) => Number(got[i].offset) !== i || !same(m, got[i]))
  check(differs < 0 && got.length === messages.length,
    `${topic}: ${got.length} records are byte for byte what was sent` + (differs < 0 ? '' : `; not ${differs}`))
  const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] })
  check(partitions[0].offset === String(messages.length), `${topic}: its end is committed`)
}

async function main() {
  const zstd = await new Promise((done) => ZstdCodec.run((z) => done(new z.Simple())))
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
    decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
  })
  const kafka = new Kafka({ clientId: 'interop', brokers: [bootstrap], logLevel: logLevel.ERROR })
  const admin = kafka.admin()
  await admin.connect()
  await adminScenario(admin)
  const messages = load()
  await produce(kafka, admin, 'js-none', CompressionTypes.None, messages)
  await produce(kafka, admin, 'js-gzip', CompressionTypes.GZIP, messages)
  await produce(kafka, admin, 'js-snappy', CompressionTypes.Snappy, messages)
  await produce(kafka, admin, 'js-lz4', CompressionTypes.LZ4, messages)
  await produce(kafka, admin, 'js-zstd', CompressionTypes.ZSTD, messages)
  await produce(kafka, admin, 'js-idempotent', CompressionTypes.None, messages,
    { idempotent: true, maxInFlightRequests: 1 })
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    await verify(kafka, admin, `js-${codec}`, messages)
  }
  const byTime = await admin.fetchTopicOffsetsByTimestamp('js-none', 0)
  check(byTime[0].offset === '0', 'fetchTopicOffsetsByTimestamp finds the first record')
  await admin.deleteTopicRecords({ topic: 'js-idempotent', partitions: [{ partition: 0, offset: '7' }] })
  const [left] = await admin.fetchTopicOffsets('js-idempotent')
  check(left.low === '7', 'deleteTopicRecords moves the beginning to 7')
  await admin.disconnect()
}

main().catch((err) => {
  console.error('kafkajs:', err)
  process.exit(1)
})
