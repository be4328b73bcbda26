// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math/big"
	"math/bits"
	"strconv"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Judges that check a sum which the maker put into the secret. A right sum
// proves the form: nobody writes it by chance. With a wrong one the secret never
// worked, or its form has changed; it stays as low, or as it was where the sum is
// only known from use.

const (
	sumRight = "checksum is right"
	sumWrong = "checksum is wrong: changed or made up"
)

func summed(right bool) ruling {
	if right {
		return ruling{sure: true, note: sumRight}
	}
	return ruling{severity: bulwark.SeverityLow, note: sumWrong}
}

// judgeGitLab checks a routable token: "prefix", base64, a dot, the version and
// another dot in newer ones, the length of the base64 in two digits of base 36
// and the CRC-32 of all before in seven
// (https://handbook.gitlab.com/handbook/engineering/architecture/design-documents/cells/routable_tokens/).
func judgeGitLab(_ string, _ []byte, m *match) ruling {
	s := string(m.secret)
	if len(s) < 10 || !strings.ContainsRune(s, '.') {
		return ruling{}
	}
	head, sum := s[:len(s)-7], s[len(s)-7:]
	want := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(head))), 36)
	return summed(strings.Repeat("0", 7-min(7, len(want)))+want == sum)
}

// judgeGrafana checks a service account token: eight hexadecimal digits of the
// CRC-32 of what stands before the last underscore, least byte first
// (https://github.com/grafana/grafana, pkg/components/satokengen).
func judgeGrafana(_ string, _ []byte, m *match) ruling {
	i := bytes.LastIndexByte(m.secret, '_')
	if i < 0 {
		return ruling{}
	}
	var sum [4]byte
	binary.LittleEndian.PutUint32(sum[:], crc32.ChecksumIEEE(m.secret[:i]))
	return summed(strings.EqualFold(hex.EncodeToString(sum[:]), string(m.secret[i+1:])))
}

// judgeBech32 checks the sum of Bech32 in upper case
// (https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki), as age writes
// its identities.
func judgeBech32(_ string, _ []byte, m *match) ruling {
	const digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	s := strings.ToLower(string(m.secret))
	one := strings.LastIndexByte(s, '1')
	if one < 1 || len(s) > 128 {
		return ruling{}
	}
	sum := uint32(1)
	step := func(v byte) {
		top := sum >> 25
		sum = (sum&0x1FFFFFF)<<5 ^ uint32(v)
		for i, g := range [...]uint32{0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3} {
			if top>>i&1 != 0 {
				sum ^= g
			}
		}
	}
	for i := range one {
		step(s[i] >> 5)
	}
	step(0)
	for i := range one {
		step(s[i] & 31)
	}
	for i := one + 1; i < len(s); i++ {
		v := strings.IndexByte(digits, s[i])
		if v < 0 {
			return ruling{}
		}
		step(byte(v))
	}
	return summed(sum == 1)
}

// judgeBase58 drops what has no right sum of Base58Check: four bytes of a double
// SHA-256 (https://en.bitcoin.it/wiki/Wallet_import_format; BIP 32). Without it, the form
// is any word.
func judgeBase58(_ string, _ []byte, m *match) ruling {
	const digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	n, base := new(big.Int), big.NewInt(58)
	for _, c := range m.secret[:min(len(m.secret), 128)] {
		v := strings.IndexByte(digits, c)
		if v < 0 {
			return ruling{drop: true}
		}
		n.Add(n.Mul(n, base), big.NewInt(int64(v)))
	}
	b := n.Bytes()
	extended := len(b) == 82 && (bytes.HasPrefix(b, []byte{0x04, 0x88, 0xAD, 0xE4}) || bytes.HasPrefix(b, []byte{0x04, 0x35, 0x83, 0x94})) // BIP 32
	if !extended && (len(b) < 37 || len(b) > 38 || b[0] != 0x80 && b[0] != 0xEF) {
		return ruling{drop: true}
	}
	sum := sha256.Sum256(b[:len(b)-4])
	sum = sha256.Sum256(sum[:])
	if !bytes.Equal(sum[:4], b[len(b)-4:]) {
		return ruling{drop: true}
	}
	r := ruling{sure: true, note: sumRight}
	if b[0] == 0xEF || extended && b[1] == 0x35 {
		r.severity, r.note = bulwark.SeverityLow, "for a test network"
	}
	return r
}

// marvin gives the Marvin32 hash of b, folded to 32 bits
// (https://github.com/dotnet/runtime, System.Marvin; US patent 20130262421 A1
// describes it).
func marvin(b []byte, seed uint64) uint32 {
	p0, p1 := marvinState(b, seed)
	return p0 ^ p1
}

func marvinState(b []byte, seed uint64) (p0, p1 uint32) {
	p0, p1 = uint32(seed), uint32(seed>>32)
	mix := func() {
		p1 ^= p0
		p0 = bits.RotateLeft32(p0, 20)
		p0 += p1
		p1 = bits.RotateLeft32(p1, 9)
		p1 ^= p0
		p0 = bits.RotateLeft32(p0, 27)
		p0 += p1
		p1 = bits.RotateLeft32(p1, 19)
	}
	for ; len(b) >= 4; b = b[4:] {
		p0 += binary.LittleEndian.Uint32(b)
		mix()
	}
	last := uint32(0x80) << (8 * len(b))
	for i, c := range b {
		last |= uint32(c) << (8 * i)
	}
	p0 += last
	mix()
	mix()
	return p0, p1
}

// casSeed is "Default0", the seed of common annotated security keys.
const casSeed = 0x44656661756C7430

// judgeAnnotated checks a common annotated security key of Microsoft: base64 of
// 60 bytes and three of the four bytes of their Marvin32 hash, all four in the
// long form (https://github.com/microsoft/security-utilities, MIT).
func judgeAnnotated(_ string, _ []byte, m *match) ruling {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(string(m.secret), "="))
	if err != nil || len(b) < 63 {
		return ruling{}
	}
	var sum [4]byte
	binary.LittleEndian.PutUint32(sum[:], marvin(b[:60], casSeed))
	r := summed(bytes.HasPrefix(sum[:], b[60:min(len(b), 64)]))
	if r.sure {
		r.note = "provider " + string(m.secret[76:80]) + ", " + r.note // four letters that name the service
	}
	return r
}

// judgeAzure checks a key of an Azure service that carries its signature: the
// last four bytes are the Marvin32 hash of all before, with a seed that names the
// kind of key (https://github.com/microsoft/security-utilities, MIT). The
// signature alone is four letters of base64, so a wrong sum is no key.
func judgeAzure(_ string, _ []byte, m *match) ruling {
	s := strings.TrimRight(string(m.secret), "=")
	s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil || len(b) < 24 || len(s) < 10 {
		return ruling{drop: true}
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	signature := s[len(s)-10 : len(s)-6]
	for _, k := range azureKeys {
		if k.signature == signature && marvin(body, k.seed) == sum {
			return ruling{sure: true, note: k.service + ", " + sumRight}
		}
	}
	return ruling{drop: true}
}

// azureKeys are the signatures and seeds of Azure's services; a seed is eight
// letters, read from the end.
var azureKeys = [...]struct {
	signature string
	seed      uint64
	service   string
}{
	{"+ASt", 0x44656661756C7430, "Azure Storage"},
	{"ACDb", 0x4D61737452573030, "Azure Cosmos DB"}, {"ACDb", 0x4D617374524F3030, "Azure Cosmos DB, read only"}, {"ACDb", 0x5265736F75723030, "Azure Cosmos DB"},
	{"+ASb", 0x53656E6430303030, "Azure Service Bus"}, {"+ASb", 0x4C697374656E3030, "Azure Service Bus"}, {"+ASb", 0x4D616E6167653030, "Azure Service Bus"}, {"+ASb", 0x556E6B6E6F776E30, "Azure Service Bus"}, {"+ASb", 0x53797374656D3030, "Azure Service Bus"},
	{"+AEh", 0x53656E6430303030, "Azure Event Hubs"}, {"+AEh", 0x4C697374656E3030, "Azure Event Hubs"}, {"+AEh", 0x4D616E6167653030, "Azure Event Hubs"}, {"+AEh", 0x556E6B6E6F776E30, "Azure Event Hubs"}, {"+AEh", 0x53797374656D3030, "Azure Event Hubs"},
	{"+ARm", 0x53656E6430303030, "Azure Relay"}, {"+ARm", 0x4C697374656E3030, "Azure Relay"}, {"+ARm", 0x4D616E6167653030, "Azure Relay"},
	{"+ABa", 0x4162416363743030, "Azure Batch"},
	{"AzFu", 0x4D61737465723030, "Azure Functions, master key"}, {"AzFu", 0x53797374656D3030, "Azure Functions"}, {"AzFu", 0x46756E6374693030, "Azure Functions"},
	{"AzCa", 0x4163636573733030, "Azure Cache for Redis"},
	{"AzSe", 0x5175657279303030, "Azure Search, query key"}, {"AzSe", 0x5041646D696E3030, "Azure Search, admin key"},
	{"+AMC", 0x436C617373696330, "Azure Machine Learning"},
	{"+ACR", 0x41435244666C7430, "Azure Container Registry"},
	{"AIoT", 0x496F544875623030, "Azure IoT Hub"}, {"AIoT", 0x4470734B65793030, "Azure IoT device provisioning"}, {"AIoT", 0x4465766963653030, "Azure IoT device"},
	{"APIM", 0x54656E616E743030, "Azure API Management"}, {"APIM", 0x496F544875623030, "Azure API Management"}, {"APIM", 0x4761746577793030, "Azure API Management"}, {"APIM", 0x4769744B65793030, "Azure API Management"},
}

// judgeAzureClient looks at a client secret of Entra ID. The last three letters
// of those with "8Q~" are the first of the Marvin32 hash of all before, in base
// 66; others have no sum (https://github.com/microsoft/security-utilities, MIT).
func judgeAzureClient(_ string, _ []byte, m *match) ruling {
	const digits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ1234567890.-_~"
	s := m.secret
	if len(s) < 37 || string(s[3:6]) != "8Q~" {
		return ruling{}
	}
	var out []byte
	for n := marvin(s[:len(s)-3], 0x4161645077643030); n > 0; n /= 66 {
		out = append([]byte{digits[n%66]}, out...)
	}
	if len(out) >= 3 && string(out[:3]) == string(s[len(s)-3:]) {
		return ruling{sure: true, note: sumRight}
	}
	return ruling{severity: bulwark.SeverityMedium, note: "checksum is wrong, or it is of another kind"}
}

// judgeDevOps drops what is no personal access token of Azure DevOps in its
// former form: base32 of 32 bytes with the CRC-32 of the others among them
// (https://github.com/microsoft/security-utilities, MIT).
func judgeDevOps(_ string, _ []byte, m *match) ruling {
	const digits = "abcdefghijklmnopqrstuvwxyz234567"
	if len(m.secret) != 52 {
		return ruling{drop: true}
	}
	var b []byte
	acc, n := uint32(0), 0
	for _, c := range m.secret {
		v := strings.IndexByte(digits, c)
		if v < 0 {
			return ruling{drop: true}
		}
		acc, n = acc<<5|uint32(v), n+5
		if n >= 8 {
			n -= 8
			b = append(b, byte(acc>>n))
		}
	}
	token := append(append(append(append([]byte(nil), b[0:2]...), b[3:7]...), b[9:22]...), b[23:32]...)
	sum := uint32(b[22]) | uint32(b[8])<<8 | uint32(b[7])<<16 | uint32(b[2])<<24
	switch sum ^ crc32.ChecksumIEEE(token) {
	case 0xE0B9692D, 0x1019F92E: // of users, of applications
		return ruling{sure: true, note: sumRight}
	}
	return ruling{drop: true}
}
