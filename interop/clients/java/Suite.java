import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

/**
 * Kafka's own Java client against a broker: admin, every codec, an idempotent producer, assigned
 * consumers, offsets by timestamp. {@code java Suite BOOTSTRAP CORPUS}
 */
public final class Suite {
  private static final int LIMIT = 4 << 20;
  private static String bootstrap;

  public static void main(String[] args) throws Exception {
    bootstrap = args[0];
    List<ProducerRecord<byte[], byte[]>> corpus = load(args[1]);
    try (Admin admin = Admin.create(config())) {
      admin(admin);
      for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
        String topic = "java-" + codec;
        create(admin, topic, 1);
        produce(corpus, topic, Map.of("compression.type", codec, "enable.idempotence", "false"));
        verify(corpus, topic);
        produceAll(admin, corpus, topic + "-idempotent", codec);
      }
      offsets(admin, corpus);
    }
    largeTopic();
  }

  private static void produceAll(Admin admin, List<ProducerRecord<byte[], byte[]>> corpus,
      String topic, String codec) throws Exception {
    create(admin, topic, 1);
    produce(corpus, topic, Map.of("compression.type", codec, "enable.idempotence", "true",
        "acks", "all", "batch.size", "200000"));
    verify(corpus, topic);
  }

  private static List<ProducerRecord<byte[], byte[]>> load(String file) throws Exception {
    ObjectMapper json = new ObjectMapper();
    List<ProducerRecord<byte[], byte[]>> out = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of(file))) {
      JsonNode r = json.readTree(line);
      List<Header> headers = new ArrayList<>();
      for (JsonNode h : r.get("headers")) {
        headers.add(new RecordHeader(h.get(0).asText(), raw(h.get(1))));
      }
      out.add(new ProducerRecord<>("", 0, raw(r.get("key")), raw(r.get("value")), headers));
    }
    return out;
  }

  private static byte[] raw(JsonNode n) {
    return n.isNull() ? null : Base64.getDecoder().decode(n.asText());
  }

  private static Properties config() {
    Properties p = new Properties();
    p.put("bootstrap.servers", bootstrap);
    return p;
  }

  private static void check(boolean ok, String what) {
    if (!ok) {
      System.err.println("java: " + what);
      System.exit(1);
    }
    System.out.println("ok: " + what);
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private static void await(Condition condition, String what) throws Exception {
    long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (!condition.holds()) {
      if (System.nanoTime() > deadline) {
        check(false, "never: " + what);
      }
      Thread.sleep(100);
    }
    System.out.println("ok: " + what);
  }

  private static void create(Admin admin, String topic, int partitions) throws Exception {
    admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1)
        .configs(Map.of("max.message.bytes", String.valueOf(LIMIT))))).all().get();
  }

  private static void admin(Admin admin) throws Exception {
    create(admin, "java-admin", 3);
    try {
      create(admin, "java-admin", 3);
      check(false, "a topic was created twice");
    } catch (ExecutionException e) {
      check(e.getCause() instanceof TopicExistsException, "a second creation is refused");
    }
    await(() -> admin.listTopics().names().get().contains("java-admin"), "listTopics has it");
    admin.createPartitions(Map.of("java-admin", NewPartitions.increaseTo(5))).all().get();
    await(() -> admin.describeTopics(List.of("java-admin")).allTopicNames().get()
        .get("java-admin").partitions().size() == 5, "describeTopics shows 5 partitions");
    ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "java-admin");
    admin.incrementalAlterConfigs(Map.of(topic, List.of(new AlterConfigOp(
        new ConfigEntry("retention.ms", "3600000"), AlterConfigOp.OpType.SET)))).all().get();
    await(() -> admin.describeConfigs(List.of(topic)).all().get().get(topic)
        .get("retention.ms").value().equals("3600000"), "describeConfigs shows what was set");
    check(admin.describeCluster().nodes().get().size() == 1, "describeCluster shows one node");
    check(admin.describeLogDirs(List.of(admin.describeCluster().nodes().get().iterator().next()
        .id())).allDescriptions().get().size() == 1, "describeLogDirs answers");
    check(admin.describeFeatures().featureMetadata().get() != null, "describeFeatures answers");
    admin.deleteTopics(List.of("java-admin")).all().get();
    await(() -> !admin.listTopics().names().get().contains("java-admin"), "the topic is deleted");
  }

  private static void produce(List<ProducerRecord<byte[], byte[]>> corpus, String topic,
      Map<String, String> extra) throws Exception {
    Properties p = config();
    p.put("max.request.size", String.valueOf(LIMIT));
    p.put("linger.ms", "20");
    p.putAll(extra);
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    try (Producer<byte[], byte[]> producer =
        new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
      for (ProducerRecord<byte[], byte[]> r : corpus) {
        sent.add(producer.send(
            new ProducerRecord<>(topic, 0, r.key(), r.value(), r.headers())));
      }
    }
    for (int i = 0; i < sent.size(); i++) {
      if (sent.get(i).get().offset() != i) {
        check(false, topic + ": offset " + sent.get(i).get().offset() + " in place of " + i);
      }
    }
  }

  private static Consumer<byte[], byte[]> consumer(TopicPartition... partitions) {
    Properties p = config();
    p.put("max.partition.fetch.bytes", String.valueOf(LIMIT));
    Consumer<byte[], byte[]> c =
        new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    c.assign(List.of(partitions));
    return c;
  }

  private static List<ConsumerRecord<byte[], byte[]>> read(Consumer<byte[], byte[]> c, int n) {
    List<ConsumerRecord<byte[], byte[]>> out = new ArrayList<>();
    long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (out.size() < n && System.nanoTime() < deadline) {
      c.poll(Duration.ofMillis(500)).forEach(out::add);
    }
    return out;
  }

  private static void verify(List<ProducerRecord<byte[], byte[]>> corpus, String topic) {
    TopicPartition tp = new TopicPartition(topic, 0);
    try (Consumer<byte[], byte[]> c = consumer(tp)) {
      c.seekToBeginning(Set.of(tp));
      List<ConsumerRecord<byte[], byte[]>> got = read(c, corpus.size());
      for (int i = 0; i < corpus.size() && i < got.size(); i++) {
        if (got.get(i).offset() != i || !same(corpus.get(i), got.get(i))) {
          check(false, "record " + i + " of " + topic + " differs");
        }
      }
      check(got.size() == corpus.size() && c.position(tp) == corpus.size(),
          topic + ": " + got.size() + " records are byte for byte what was sent");
    }
  }

  private static boolean same(ProducerRecord<byte[], byte[]> a, ConsumerRecord<byte[], byte[]> b) {
    Header[] x = a.headers().toArray();
    Header[] y = b.headers().toArray();
    boolean headers = x.length == y.length;
    for (int i = 0; headers && i < x.length; i++) {
      headers = x[i].key().equals(y[i].key()) && Arrays.equals(x[i].value(), y[i].value());
    }
    return headers && Arrays.equals(a.key(), b.key()) && Arrays.equals(a.value(), b.value());
  }

  private static void offsets(Admin admin, List<ProducerRecord<byte[], byte[]>> corpus)
      throws Exception {
    TopicPartition tp = new TopicPartition("java-none", 0);
    try (Consumer<byte[], byte[]> c = consumer(tp)) {
      c.seekToBeginning(Set.of(tp));
      List<ConsumerRecord<byte[], byte[]>> all = read(c, corpus.size());
      long time = all.get(all.size() / 2).timestamp();
      long first = all.stream().filter(r -> r.timestamp() >= time).findFirst().get().offset();
      check(c.offsetsForTimes(Map.of(tp, time)).get(tp).offset() == first,
          "offsetsForTimes finds the first record at a time");
      long late = all.get(all.size() - 1).timestamp() + 60_000;
      check(c.offsetsForTimes(Map.of(tp, late)).get(tp) == null,
          "offsetsForTimes finds none in the future");
      c.seek(tp, 100);
      check(read(c, 1).get(0).offset() == 100, "seek goes to offset 100");
    }
    long newest = admin.listOffsets(Map.of(tp, OffsetSpec.maxTimestamp())).all().get().get(tp)
        .offset();
    check(newest >= 0 && newest < corpus.size(), "listOffsets finds the newest timestamp");
    TopicPartition cut = new TopicPartition("java-gzip", 0);
    long low = admin.deleteRecords(Map.of(cut, RecordsToDelete.beforeOffset(10)))
        .lowWatermarks().get(cut).get().lowWatermark();
    check(low == 10, "deleteRecords moves the beginning to 10");
  }

  /** Two hundred partitions, one consumer, one incremental fetch session. */
  private static void largeTopic() throws Exception {
    int partitions = 200;
    try (Admin admin = Admin.create(config())) {
      create(admin, "java-wide", partitions);
    }
    try (Producer<String, String> p =
        new KafkaProducer<>(config(), new StringSerializer(), new StringSerializer())) {
      for (int i = 0; i < partitions; i++) {
        p.send(new ProducerRecord<>("java-wide", i, "k", "partition " + i));
      }
    }
    TopicPartition[] all = new TopicPartition[partitions];
    for (int i = 0; i < partitions; i++) {
      all[i] = new TopicPartition("java-wide", i);
    }
    try (Consumer<byte[], byte[]> c = consumer(all)) {
      c.seekToBeginning(List.of(all));
      List<ConsumerRecord<byte[], byte[]>> got = read(c, partitions);
      long right = got.stream().filter(r -> new String(r.value(), StandardCharsets.UTF_8)
          .equals("partition " + r.partition())).count();
      check(right == partitions, "200 partitions are read through one session");
    }
  }
}
