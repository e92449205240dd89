import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Kafka's own Java client as a member of a group (classic protocol), and as a mover in transactions.
 * How it is called and what it writes is in ../groups/scenes.py and members.py. It compiles against
 * old clients and new ones.
 *
 * <pre>
 * Member consume ASSIGNOR BOOTSTRAP TOPIC GROUP INSTANCE
 * Member move    ASSIGNOR BOOTSTRAP TOPIC OUTPUT GROUP TRANSACTIONAL_ID
 * </pre>
 */
public final class Member {
  private static final Map<String, String> ASSIGNORS = Map.of(
      "range", RangeAssignor.class.getName(),
      "roundrobin", RoundRobinAssignor.class.getName(),
      "cooperative-sticky", CooperativeStickyAssignor.class.getName());
  private static final CountDownLatch leaving = new CountDownLatch(1);

  private final String bootstrap;
  private final String topic;
  private final Consumer<String, String> consumer;
  private Producer<String, String> producer;
  private int moves;

  private Member(String assignor, String bootstrap, String topic, String group, String instance) {
    this.bootstrap = bootstrap;
    this.topic = topic;
    this.consumer = join(assignor, group, instance);
  }

  public static void main(String[] args) {
    Thread ears = new Thread(() -> {
      try {
        while (System.in.read() >= 0) {}
      } catch (java.io.IOException e) {
        note(e);
      }
      leaving.countDown();
    });
    ears.setDaemon(true);
    ears.start();
    if (args[0].equals("consume")) {
      new Member(args[1], args[2], args[3], args[4], args[5]).consume();
    } else {
      new Member(args[1], args[2], args[3], args[5], "-").move(args[4], args[6]);
    }
  }

  private static synchronized void say(String kind, Object... words) {
    StringBuilder line = new StringBuilder().append(System.nanoTime()).append(' ').append(kind);
    for (Object w : words) {
      line.append(' ').append(w);
    }
    System.out.println(line);
    System.out.flush();
  }

  private static void note(Exception e) {
    say("note", e.toString().replace('\n', ' '));
  }

  private static String partitions(Collection<TopicPartition> tps) {
    return tps.stream().map(tp -> String.valueOf(tp.partition())).collect(Collectors.joining(","));
  }

  private Properties common() {
    Properties p = new Properties();
    p.put("bootstrap.servers", bootstrap);
    p.put("reconnect.backoff.max.ms", "300");
    return p;
  }

  private Consumer<String, String> join(String assignor, String group, String instance) {
    Properties p = common();
    p.put("group.id", group);
    p.put("group.protocol", "classic");
    p.put("enable.auto.commit", "false");
    p.put("auto.offset.reset", "earliest");
    p.put("isolation.level", "read_committed");
    p.put("partition.assignment.strategy", ASSIGNORS.get(assignor));
    p.put("heartbeat.interval.ms", "300");
    p.put("session.timeout.ms", "3000");
    if (!instance.equals("-")) {
      p.put("group.instance.id", instance);
      p.put("session.timeout.ms", "20000"); // a static member has time to come back
    }
    Consumer<String, String> c =
        new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer());
    c.subscribe(java.util.List.of(topic), new ConsumerRebalanceListener() {
      @Override
      public void onPartitionsAssigned(Collection<TopicPartition> tps) {
        say("assigned", partitions(tps));
      }

      @Override
      public void onPartitionsRevoked(Collection<TopicPartition> tps) {
        say("revoked", partitions(tps));
      }
    });
    return c;
  }

  private static boolean staying() {
    return leaving.getCount() > 0;
  }

  private void consume() {
    while (staying()) {
      Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
      for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(100))) {
        say("record", r.partition(), r.offset(), r.value());
        done.put(new TopicPartition(topic, r.partition()), new OffsetAndMetadata(r.offset() + 1));
      }
      if (done.isEmpty()) {
        continue;
      }
      try {
        consumer.commitSync(done);
        say("commit", done.entrySet().stream()
            .map(e -> e.getKey().partition() + "=" + e.getValue().offset())
            .collect(Collectors.joining(",")));
      } catch (CommitFailedException | RebalanceInProgressException | RetriableException e) {
        note(e);
      }
    }
    consumer.close();
  }

  private void connect(String transactionalId) {
    if (producer != null) {
      producer.close(Duration.ZERO);
    }
    Properties p = common();
    p.put("transactional.id", transactionalId);
    p.put("transaction.timeout.ms", "10000");
    producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer());
    patiently(producer::initTransactions);
  }

  /** Calls again while the error says that this may help. */
  private static void patiently(Runnable call) {
    while (true) {
      try {
        call.run();
        return;
      } catch (RetriableException e) {
        note(e);
      }
    }
  }

  private void rewind() {
    Map<TopicPartition, OffsetAndMetadata> committed = new HashMap<>();
    patiently(() -> committed.putAll(consumer.committed(consumer.assignment())));
    for (TopicPartition tp : consumer.assignment()) {
      OffsetAndMetadata at = committed.get(tp);
      consumer.seek(tp, at == null ? 0 : at.offset());
    }
  }

  /** Copies in transactions, and aborts every fifth one to do it again. */
  private void move(String output, String transactionalId) {
    connect(transactionalId);
    while (staying()) {
      ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
      if (records.isEmpty()) {
        continue;
      }
      try {
        transaction(records, output);
      } catch (RuntimeException e) {
        note(e);
        recover(transactionalId);
      }
    }
    producer.close();
    consumer.close();
  }

  private void transaction(ConsumerRecords<String, String> records, String output) {
    Map<TopicPartition, OffsetAndMetadata> done = new TreeMap<>(
        java.util.Comparator.comparing(TopicPartition::partition));
    producer.beginTransaction();
    for (ConsumerRecord<String, String> r : records) {
      producer.send(new ProducerRecord<>(output, r.partition(), r.key(), r.value()));
      done.put(new TopicPartition(topic, r.partition()), new OffsetAndMetadata(r.offset() + 1));
    }
    if (++moves % 5 == 0) {
      producer.flush();
      patiently(producer::abortTransaction);
      rewind();
      return;
    }
    producer.sendOffsetsToTransaction(done, consumer.groupMetadata());
    patiently(producer::commitTransaction);
  }

  /** Aborts where that is enough, and begins with a new producer where it is not. */
  private void recover(String transactionalId) {
    try {
      patiently(producer::abortTransaction);
    } catch (RuntimeException e) {
      note(e);
      connect(transactionalId);
    }
    rewind();
  }
}
