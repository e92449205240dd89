// kafkajs as a member of a group, and as a mover in transactions. How it is called and what it
// writes is in ../groups/scenes.py and members.py.
//
//     node member.js consume BOOTSTRAP TOPIC GROUP -
//     node member.js move BOOTSTRAP TOPIC OUTPUT GROUP TRANSACTIONAL_ID

const { Kafka, logLevel } = require('kafkajs')

const [mode, bootstrap, topic, ...rest] = process.argv.slice(2)
const [output, group, id] = mode === 'move' ? rest : [null, ...rest]

function say(kind, ...words) {
  process.stdout.write([process.hrtime.bigint(), kind, ...words].join(' ') + '\n')
}

const kafka = new Kafka({
  brokers: [bootstrap],
  logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 50, maxRetryTime: 300, retries: 200 },
})

function newConsumer() {
  const c = kafka.consumer({
    groupId: group,
    sessionTimeout: 3000,
    rebalanceTimeout: 10000,
    heartbeatInterval: 300,
    maxWaitTimeInMs: 100,
    readUncommitted: mode === 'consume',
  })
  // It has no callback for what is taken; what it was given last is what it has.
  c.on(c.events.GROUP_JOIN, ({ payload }) => say('owns', (payload.memberAssignment[topic] || []).join(',')))
  c.on(c.events.CRASH, ({ payload }) => say('note', payload.error))
  return c
}

async function consumeBatch({ batch, commitOffsetsIfNecessary, resolveOffset, isRunning, isStale }) {
  if (!isRunning() || isStale()) return
  for (const m of batch.messages) {
    say('record', batch.partition, m.offset, m.value.toString())
    resolveOffset(m.offset)
  }
  const next = String(Number(batch.lastOffset()) + 1)
  await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition: batch.partition, offset: next }] }] })
  say('commit', `${batch.partition}=${next}`)
}

async function newProducer() {
  const producer = kafka.producer({
    transactionalId: id, idempotent: true, maxInFlightRequests: 1, transactionTimeout: 10000,
  })
  await producer.connect()
  return producer
}

// mover copies batches in transactions, and aborts every fifth one. What failed kafkajs gives again.
async function mover() {
  let producer = await newProducer()
  let count = 0
  return async ({ batch, resolveOffset, isRunning, isStale }) => {
    if (!isRunning() || isStale()) return
    let transaction
    try {
      transaction = await producer.transaction()
      await transaction.send({
        topic: output,
        messages: batch.messages.map((m) => ({ key: m.key, value: m.value, partition: batch.partition })),
      })
      if (++count % 5 === 0) throw new Error('aborted on purpose')
      const next = String(Number(batch.lastOffset()) + 1)
      await transaction.sendOffsets({
        consumerGroupId: group,
        topics: [{ topic, partitions: [{ partition: batch.partition, offset: next }] }],
      })
      await transaction.commit()
      resolveOffset(batch.lastOffset())
    } catch (err) {
      say('note', err)
      try {
        await transaction.abort()
      } catch (worse) {
        // A new producer of the same id ends what this one left open.
        say('note', worse)
        await producer.disconnect()
        producer = await newProducer()
      }
      // Of a kind that makes kafkajs go on, whatever it was.
      throw new Error(err.message)
    }
  }
}

async function main() {
  const consumer = newConsumer()
  const eachBatch = mode === 'move' ? await mover() : consumeBatch
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch })
  process.stdin.resume()
  process.stdin.on('end', async () => {
    await consumer.disconnect()
    process.exit(0)
  })
}

main().catch((err) => {
  console.error(err)
  process.exit(1)
})
