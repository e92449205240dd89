import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams with exactly_once_v2: counts how often each key comes, and writes every new count,
 * as nothing is cached. {@code Counter STATE_DIR BOOTSTRAP TOPIC OUTPUT GROUP ID}. The folder of
 * its state is made from STATE_DIR and ID.
 */
public final class Counter {
  public static void main(String[] args) throws Exception {
    Properties p = new Properties();
    p.put("bootstrap.servers", args[1]);
    p.put("application.id", args[4]);
    p.put("processing.guarantee", "exactly_once_v2");
    p.put("group.protocol", "classic");
    p.put("state.dir", args[0] + "/" + args[5]);
    p.put("statestore.cache.max.bytes", "0");
    p.put("commit.interval.ms", "100");
    p.put("num.stream.threads", "1");
    p.put("replication.factor", "1");
    p.put("reconnect.backoff.max.ms", "300");
    p.put("consumer.auto.offset.reset", "earliest");
    p.put("consumer.session.timeout.ms", "3000");
    p.put("consumer.heartbeat.interval.ms", "300");
    p.put("producer.transaction.timeout.ms", "10000");
    p.put("internal.leave.group.on.close", true); // KIP-812's, by its name in the configuration
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(args[2], Consumed.with(Serdes.String(), Serdes.String()))
        .groupByKey(Grouped.with(Serdes.String(), Serdes.String()))
        .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts"))
            .withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
        .toStream()
        .mapValues(String::valueOf)
        .to(args[3], Produced.with(Serdes.String(), Serdes.String()));
    KafkaStreams streams = new KafkaStreams(builder.build(), p);
    streams.setUncaughtExceptionHandler(e -> {
      System.out.println(System.nanoTime() + " note " + e.toString().replace('\n', ' '));
      return StreamThreadExceptionResponse.REPLACE_THREAD;
    });
    streams.start();
    while (System.in.read() >= 0) {}
    streams.close(Duration.ofSeconds(20));
  }
}
