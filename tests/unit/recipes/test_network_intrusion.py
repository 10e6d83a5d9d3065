"""Network records written as events."""

from pathlib import Path

from recipes.network_intrusion.records import main


def test_a_record_becomes_the_words_of_what_is_not_zero(tmp_path: Path) -> None:
    source = tmp_path / "records.csv"
    source.write_text(
        "protocol_type,service,src_bytes,land,serror_rate,same_srv_rate,attack,difficulty,category\n"
        "tcp,http,491,0,0.01,1.00,neptune,20,dos\n"
        "udp,other,0,1,0.00,0.20,normal,20,normal\n",
        encoding="utf-8",
    )
    main([str(source), str(tmp_path / "out" / "five.tsv")])
    main([str(source), str(tmp_path / "two.tsv"), "--label", "binary"])
    assert (tmp_path / "out" / "five.tsv").read_text(encoding="utf-8").splitlines() == [
        "label\ttext",
        "dos\tprotocoltype tcp service http srcbytes9 serrorrate1 samesrvrate10",
        "normal\tprotocoltype udp service other land1 samesrvrate2",
    ]
    labels = [line.split("\t")[0] for line in (tmp_path / "two.tsv").read_text(encoding="utf-8").splitlines()]
    assert labels == ["label", "attack", "normal"]
